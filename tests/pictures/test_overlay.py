"""Pictures over a thumbnail: where things are painted, and that the picture is whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histocnn.pictures.overlay import at_pixels, canvas, lay, shrunk, tissue_share


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
    cells = np.zeros((rows, columns, 2), dtype=np.float32)
    cells[..., 0], cells[..., 1] = np.arange(columns), np.arange(rows)[:, None]
    size_px = (max(1, round(width * scale)), max(1, round(height * scale)))
    layer = [
        at_pixels(cells[..., axis], (stride, stride), (width, height), size_px, smooth=False)
        for axis in (0, 1)
    ]
    assert layer[0].shape == (size_px[1], size_px[0])
    x = data.draw(st.integers(0, size_px[0] - 1))
    y = data.draw(st.integers(0, size_px[1] - 1))
    centre_l0 = ((x + 0.5) * width / size_px[0], (y + 0.5) * height / size_px[1])
    assert layer[0][y, x] == int(centre_l0[0] / stride)
    assert layer[1][y, x] == int(centre_l0[1] / stride)


def test_a_smooth_pixel_lies_between_the_cells_around_its_centre() -> None:
    """Cells of 10 level-0 px, pixels of 5: the second's centre, 7.5, is a quarter of the way from
    the first cell's centre, 5, to the second's, 15.
    """
    cells = np.array([[0.0, 1.0]], np.float32)
    layer = at_pixels(cells, (10, 10), (20, 10), (4, 2), smooth=True)
    assert layer == pytest.approx(np.array([[0.0, 0.25, 0.75, 1.0]] * 2))


def test_colours_lie_as_opaque_as_they_are_told() -> None:
    picture = np.full((1, 3, 3), 200, dtype=np.uint8)
    colours = np.array([[[0, 100, 0]] * 3], dtype=np.uint8)
    laid = lay(picture, colours, np.array([[0, 0.5, 1]], np.float32))
    assert laid.tolist() == [[[200, 200, 200], [100, 150, 100], [0, 100, 0]]]


def test_tissue_is_what_differs_from_the_glass_around_it() -> None:
    picture = np.full((60, 90, 3), (244, 243, 246), np.uint8)
    picture[:, ::2] -= 2  # as a JPEG's noise
    picture[20:40, 30:60] = (200, 120, 170)
    share = tissue_share(picture)
    assert (share[20:40, 30:60] == 1).all()
    assert (share[:18] == 0).all()
    assert (share[:, 63:] == 0).all()


def test_where_there_is_no_glass_all_is_tissue() -> None:
    assert (tissue_share(np.full((20, 20, 3), (190, 110, 160), np.uint8)) == 1).all()


def test_small_thumbnail_is_enlarged_and_anisotropic_one_set_right() -> None:
    thumbnail = np.zeros((50, 100, 3), dtype=np.uint8)
    assert canvas(thumbnail, (1000, 500), (0.5, 0.5)).shape == (500, 1000, 3)
    assert canvas(thumbnail, (1000, 500), (0.5, 1.0)).shape == (1000, 1000, 3)
    large = np.zeros((1001, 1200, 3), dtype=np.uint8)
    assert canvas(large, (12000, 10010), (0.5, 0.5)).shape == large.shape


def test_a_large_thumbnail_is_made_small_by_area_and_a_small_one_kept() -> None:
    pixels = np.zeros((2, 400, 3), np.uint8)
    pixels[:, ::2] = 200
    assert (shrunk(pixels, 200) == 100).all()
    assert shrunk(pixels, 200).shape == (1, 200, 3)
    assert shrunk(pixels, 400) is pixels
