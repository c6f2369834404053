"""The picture of a grid: outlines of tissue and labels, and tissue as it is inside them."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
from shapely.geometry import box

from histocnn.patches.grid import PatchGrid
from histocnn.patches.truth import PatchTruth
from histocnn.pictures.grid_picture import draw_flaws, regions, tile_overview
from histocnn.pictures.palette import class_colours

PINK = (200, 120, 170)


def read_png(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def grid_of_cells(
    size_l0: tuple[int, int], cell: np.ndarray, patch_px: int, overlap_px: int = 0
) -> PatchGrid:
    """Patches in these cells (row, col) of a slide at 0.5 µm/px, as fine as the slide."""
    return PatchGrid(
        size_l0=size_l0,
        slide_mpp=(0.5, 0.5),
        patch_px=patch_px,
        mpp=0.5,
        overlap_px=overlap_px,
        cell=cell,
        tissue_fraction=np.ones(len(cell), np.float32),
    )


def labels_of(names: list[str], index: np.ndarray) -> PatchTruth:
    share = np.zeros((len(index), len(names)), np.float32)
    return PatchTruth(names, index, share, np.zeros(len(index), bool))


def test_labels_are_outlined_and_what_is_inside_stays_as_it_is(tmp_path: Path) -> None:
    """Three patches of 100 px in a row: normal, tumour, no label."""
    path = tmp_path / "a.png"
    tile_overview(
        np.full((1000, 1200, 3), PINK, dtype=np.uint8),
        grid_of_cells((1200, 1000), np.array([[4, 4], [4, 5], [4, 6]]), patch_px=100),
        labels_of(["normal", "tumour"], np.array([0, 1, -1])),
        path,
        tissue=box(300, 300, 900, 700),
        annotations={"tumour": box(510, 410, 590, 490)},
        title="a slide",
    )
    sheet = read_png(path)
    pink = np.argwhere((np.abs(sheet.astype(int) - PINK) <= 1).all(axis=2))
    top, left = pink.min(axis=0)
    shown = sheet[top : top + 1000, left : left + 1200].astype(int)
    for column, colour in zip((4, 5), class_colours(["normal", "tumour"]), strict=True):
        first = column * 100
        edge = np.abs(shown[450, first - 1 : first + 2] - colour).max(axis=1).min()
        assert edge <= 40  # the line's middle, whose rest is the slide's pink
        assert (np.abs(shown[420:480, first + 20 : first + 80] - PINK) <= 1).all()
    assert (shown[298:302, 300:900].max(axis=2) < 120).any(axis=0).mean() > 0.5  # dashes
    assert (np.abs(shown[700:, 950:] - PINK) <= 1).all()


def test_flaws_are_outlined_each_in_its_colour() -> None:
    picture = np.full((1000, 1200, 3), PINK, dtype=np.uint8)
    grid = grid_of_cells((1200, 1000), np.array([[4, 4], [4, 8]]), patch_px=100)
    flaws = {"blurred": np.array([True, False]), "pen": np.array([False, False])}
    entries = draw_flaws(picture, grid, flaws)
    assert [(entry.name, entry.drawn) for entry in entries] == [("blurred  (1)", "dotted")]
    changed = np.argwhere((picture != PINK).any(axis=2))
    assert np.abs(changed.min(axis=0) - [400, 400]).max() <= 4
    assert np.abs(changed.max(axis=0) - [500, 500]).max() <= 4


def test_a_grid_without_patches_is_a_slide_with_a_legend(tmp_path: Path) -> None:
    path = tmp_path / "b.png"
    tile_overview(
        np.full((1000, 1200, 3), 255, dtype=np.uint8),
        grid_of_cells((1200, 1000), np.empty((0, 2), np.int64), patch_px=100),
        labels_of([], np.empty(0, np.int64)),
        path,
        tissue=None,
        annotations={},
        title="empty",
    )
    assert read_png(path).shape[0] > 1000


def test_a_region_is_the_patches_without_overlap_and_their_middles_with() -> None:
    """Patches of 100 px at every 25 px: the cell of the second, in its middle, is 25 px wide."""
    cell = np.array([[0, 0], [0, 1], [2, 2]])
    whole = regions(grid_of_cells((1000, 1000), cell, 100), np.array([True, True, False]))
    assert whole.equals(box(0, 0, 200, 100))
    overlapping = grid_of_cells((1000, 1000), cell, 100, overlap_px=75)
    middles = regions(overlapping, np.array([False, True, True]))
    first = box(25 + 37.5, 37.5, 50 + 37.5, 25 + 37.5)
    assert middles.equals(first.union(box(50 + 37.5, 50 + 37.5, 75 + 37.5, 75 + 37.5)))


def test_a_hundred_thousand_patches_take_seconds(tmp_path: Path) -> None:
    side, count = 10, 316
    row, column = np.divmod(np.arange(count * count), count)
    started = time.process_time()
    tile_overview(
        np.full((1500, 1500, 3), 230, dtype=np.uint8),
        grid_of_cells((3160, 3160), np.stack([row, column], axis=1), patch_px=side),
        labels_of(["normal", "tumour"], (row % 3 - 1).astype(np.int64)),
        tmp_path / "many.png",
        tissue=box(0, 0, 3000, 3000),
        annotations={},
        title="many",
    )
    assert time.process_time() - started < 10
