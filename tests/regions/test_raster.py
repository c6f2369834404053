"""Masks to outlines and back, and areas of boxes, against brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from histocnn.regions.raster import box_sums, outline, rasterise, touched

masks = hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))
coordinates = st.integers(-300, 1200).map(lambda number: number / 100)
pixels = st.tuples(st.floats(0.3, 20), st.floats(0.3, 20))


def pixel_squares(mask: NDArray[np.bool_], pixel: tuple[float, float]) -> Any:
    row, col = np.nonzero(mask)
    width, height = pixel
    return shapely.union_all(
        shapely.box(col * width, row * height, (col + 1) * width, (row + 1) * height)
    )


@settings(max_examples=150, deadline=None)
@given(mask=masks, pixel=pixels)
def test_outline_is_the_union_of_the_pixels(
    mask: NDArray[np.bool_], pixel: tuple[float, float]
) -> None:
    region = outline(mask, pixel)
    assert region.is_valid
    assert region.symmetric_difference(pixel_squares(mask, pixel)).area < 1e-9
    assert (rasterise(region, mask.shape, pixel) == mask).all()  # type: ignore[arg-type]


def test_outline_of_a_ring_of_corners() -> None:
    mask = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], bool)
    region = outline(mask, (2.0, 1.0))
    assert region.area == 8
    assert not region.contains(shapely.Point(3, 1.5))
    assert outline(np.zeros((3, 3), bool)).is_empty


def test_rasterise_asks_for_the_centre() -> None:
    # x up to 1.5 reaches the centres at 0.5 and, just not, at 1.5; beyond the mask is cut.
    assert (
        rasterise(shapely.box(-5, -5, 1.5, 9), (2, 3), (1, 1)).tolist()
        == [[True, False, False]] * 2
    )
    assert rasterise(shapely.box(-5, -5, 1.51, 9), (1, 3), (1, 1)).tolist() == [[True, True, False]]
    assert not rasterise(shapely.Polygon(), (2, 3), (1, 1)).any()


@settings(max_examples=100, deadline=None)
@given(
    points=st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=12),
    pixel=pixels,
)
def test_rasterise_equals_a_point_test_per_pixel(
    points: list[tuple[float, float]], pixel: tuple[float, float]
) -> None:
    region = shapely.buffer(shapely.Polygon(points), 0)
    col, row = np.meshgrid(np.arange(9), np.arange(8))
    x, y = (col + 0.5) * pixel[0], (row + 0.5) * pixel[1]
    clear = shapely.distance(region.boundary, shapely.points(x, y)) > 1e-6
    clear |= region.is_empty
    expected = shapely.contains_xy(region, x, y)
    assert (rasterise(region, (8, 9), pixel) == expected)[clear].all()


@settings(max_examples=150, deadline=None)
@given(
    points=st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=12),
    pixel=pixels,
)
def test_touched_are_the_pixels_that_share_area_with_a_region(
    points: list[tuple[float, float]], pixel: tuple[float, float]
) -> None:
    region = shapely.buffer(shapely.Polygon(points), 0)
    col, row = np.meshgrid(np.arange(9), np.arange(8))
    width, height = pixel
    squares = shapely.box(col * width, row * height, (col + 1) * width, (row + 1) * height)
    mask = touched(region, (8, 9), pixel)
    assert mask[shapely.area(shapely.intersection(region, squares)) > 1e-6 * width * height].all()
    assert (shapely.distance(region, squares)[mask] < 1e-6).all()


def test_touched_of_a_strand_between_the_centres() -> None:
    # x from 1.6 to 1.9 lies between the centres at 1.5 and 2.5; y from 0.2 to 2.2 in three rows
    strand = shapely.box(1.6, 0.2, 1.9, 2.2)
    assert not rasterise(strand, (4, 4), (1, 1)).any()
    assert touched(strand, (4, 4), (1, 1)).tolist() == [[False, True, False, False]] * 3 + [
        [False] * 4
    ]
    assert not touched(shapely.Polygon(), (2, 3), (1, 1)).any()
    # what reaches beyond the mask is cut
    assert touched(shapely.box(-9, -9, 0.5, 0.5), (2, 2), (1, 1)).tolist() == [
        [True, False],
        [False, False],
    ]


@settings(max_examples=150, deadline=None)
@given(
    mask=masks,
    box=st.tuples(st.floats(-4, 12), st.floats(-4, 12), st.floats(0, 10), st.floats(0, 10)),
)
def test_box_sums_equal_an_overlap_per_pixel(
    mask: NDArray[np.bool_], box: tuple[float, float, float, float]
) -> None:
    left, top, width, height = box
    right, bottom = left + width, top + height
    cols, rows = np.arange(mask.shape[1]), np.arange(mask.shape[0])
    across = np.clip(np.minimum(cols + 1, right) - np.maximum(cols, left), 0, None)
    down = np.clip(np.minimum(rows + 1, bottom) - np.maximum(rows, top), 0, None)
    expected = (mask * down[:, None] * across).sum()
    assert box_sums(mask, np.array([[left, top, right, bottom]])) == pytest.approx(
        [expected], abs=1e-9
    )
