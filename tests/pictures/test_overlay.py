"""Pictures over a thumbnail: where things are painted, and that the picture is whole."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Polygon, box

from histocnn.patches.grid import PatchGrid
from histocnn.patches.truth import PatchTruth
from histocnn.pictures.overlay import (
    blend,
    canvas,
    cell_layer,
    draw_outline,
    draw_patches,
    tile_overview,
)
from histocnn.pictures.palette import class_colours


@given(
    stride=st.floats(3.3, 40),
    width=st.integers(30, 300),
    height=st.integers(30, 300),
    scale=st.floats(0.3, 3),
    data=st.data(),
)
def test_every_pixel_shows_the_cell_under_its_centre(
    stride: float, width: int, height: int, scale: float, data: st.DataObject
) -> None:
    columns, rows = int(np.ceil(width / stride)), int(np.ceil(height / stride))
    cells = np.zeros((rows, columns, 4), dtype=np.uint8)
    cells[..., 0], cells[..., 1] = np.arange(columns), np.arange(rows)[:, None]
    size_px = (max(1, round(width * scale)), max(1, round(height * scale)))
    layer = cell_layer(cells, (stride, stride), (width, height), size_px)
    assert layer.shape == (size_px[1], size_px[0], 4)
    x = data.draw(st.integers(0, size_px[0] - 1))
    y = data.draw(st.integers(0, size_px[1] - 1))
    centre_l0 = ((x + 0.5) * width / size_px[0], (y + 0.5) * height / size_px[1])
    assert layer[y, x, 0] == int(centre_l0[0] / stride)
    assert layer[y, x, 1] == int(centre_l0[1] / stride)


def test_blend_keeps_the_picture_where_the_layer_is_transparent() -> None:
    picture = np.full((1, 2, 3), 200, dtype=np.uint8)
    layer = np.array([[[0, 0, 0, 0], [0, 100, 0, 255]]], dtype=np.uint8)
    assert blend(picture, layer, 0.5).tolist() == [[[200, 200, 200], [100, 150, 100]]]


def test_small_thumbnail_is_enlarged_and_anisotropic_one_set_right() -> None:
    thumbnail = np.zeros((50, 100, 3), dtype=np.uint8)
    assert canvas(thumbnail, (1000, 500), (0.5, 0.5)).shape == (500, 1000, 3)
    assert canvas(thumbnail, (1000, 500), (0.5, 1.0)).shape == (1000, 1000, 3)
    large = np.zeros((1001, 1200, 3), dtype=np.uint8)
    assert canvas(large, (12000, 10010), (0.5, 0.5)).shape == large.shape


def test_patch_is_tinted_from_its_first_to_its_last_pixel() -> None:
    picture = np.full((100, 100, 3), 255, dtype=np.uint8)
    colours = np.array([[0, 0, 0, 255]], dtype=np.uint8)
    draw_patches(picture, np.array([[40.0, 80.0, 120.0, 160.0]]), colours, (400, 400))
    dark = np.argwhere((picture < 255).any(axis=2))
    assert dark.min(axis=0).tolist() == [20, 10]  # row, column: the level-0 box divided by four
    assert dark.max(axis=0).tolist() == [40, 30]


def test_outline_runs_along_the_polygon_and_its_hole() -> None:
    picture = np.full((100, 100, 3), 255, dtype=np.uint8)
    ring = Polygon(box(100, 100, 900, 900).exterior, [box(400, 400, 600, 600).exterior])
    draw_outline(picture, ring, (1000, 1000))
    assert (picture[50, 9:11] < 120).all()
    assert (picture[50, 39:41] < 120).all()
    assert (picture[50, 20:35] == 255).all()


def read_png(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def grid_of_cells(size_l0: tuple[int, int], cell: np.ndarray, patch_px: int) -> PatchGrid:
    """Patches in these cells (row, col) of a slide at 0.5 µm/px, as fine as the slide."""
    return PatchGrid(
        size_l0=size_l0,
        slide_mpp=(0.5, 0.5),
        patch_px=patch_px,
        mpp=0.5,
        overlap_px=0,
        cell=cell,
        tissue_fraction=np.ones(len(cell), np.float32),
    )


def labels_of(names: list[str], index: np.ndarray) -> PatchTruth:
    share = np.zeros((len(index), len(names)), np.float32)
    return PatchTruth(names, index, share, np.zeros(len(index), bool))


def test_tile_overview_shows_patches_labels_tissue_and_legend(tmp_path: Path) -> None:
    thumbnail = np.full((1000, 1200, 3), 255, dtype=np.uint8)
    path = tmp_path / "a.png"
    tile_overview(
        thumbnail,
        grid_of_cells((1200, 1000), np.array([[0, 0], [0, 1], [0, 2]]), patch_px=100),
        labels_of(["normal", "tumour"], np.array([0, 1, -1])),
        outline=box(300, 300, 900, 900),
        title="a slide",
        path=path,
    )
    sheet = read_png(path)
    assert sheet.shape[0] > 1000
    assert sheet.shape[1] > 1200
    for colour in class_colours(2):
        tint = np.rint(255 * 0.65 + colour * 0.35)
        assert (np.abs(sheet - tint) <= 1).all(axis=2).sum() > 90 * 90
    blank = tmp_path / "b.png"
    tile_overview(
        thumbnail,
        grid_of_cells((1200, 1000), np.empty((0, 2), np.int64), patch_px=100),
        labels_of([], np.empty(0, np.int64)),
        outline=None,
        title="empty",
        path=blank,
    )
    assert read_png(blank).shape[0] > 1000


def test_a_hundred_thousand_patches_take_seconds(tmp_path: Path) -> None:
    side, count = 10, 316
    row, column = np.divmod(np.arange(count * count), count)
    started = time.process_time()
    tile_overview(
        np.full((1500, 1500, 3), 230, dtype=np.uint8),
        grid_of_cells((3160, 3160), np.stack([row, column], axis=1), patch_px=side),
        labels_of(["normal", "tumour"], (row % 3 - 1).astype(np.int64)),
        outline=box(0, 0, 3000, 3000),
        title="many",
        path=tmp_path / "many.png",
    )
    assert time.process_time() - started < 10
