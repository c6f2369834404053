"""Values between cells' centres, and the lines on which they cross a level."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from histocnn.regions.field import level_set, sample

NAN = np.nan


@given(seed=st.integers(0, 999), rows=st.integers(2, 6), cols=st.integers(2, 6))
@settings(max_examples=30)
def test_between_centres_a_value_is_bilinear(seed: int, rows: int, cols: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random((rows, cols)).astype(np.float32)
    stride = (7.5, 4.25)
    x = rng.uniform(0.5, cols - 0.5, 9) * stride[0]
    y = rng.uniform(0.5, rows - 0.5, 8) * stride[1]
    centres = [(np.arange(n) + 0.5) * s for n, s in ((rows, stride[1]), (cols, stride[0]))]
    oracle = RegularGridInterpolator(centres, values.astype(float))
    expected = oracle(np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1))
    assert sample(values, stride, x, y) == pytest.approx(expected, abs=1e-6)
    both = sample(np.stack([values, 1 - values], axis=2), stride, x, y)
    assert both[..., 1] == pytest.approx(1 - expected, abs=1e-6)


def test_a_cell_alone_has_its_value_everywhere_and_nothing_beyond() -> None:
    values = np.full((3, 3), NAN, np.float32)
    values[1, 2] = 0.8
    x, y = np.array([19.9, 20.0, 25.0, 29.9]), np.array([9.9, 10.0, 19.9, 20.0])
    field = sample(values, (10, 10), x, y)
    assert field[1:3, 1:] == pytest.approx(0.8)
    assert np.isnan(field[[0, 3]]).all()
    assert np.isnan(field[:, 0]).all()


def test_beyond_the_outermost_centre_it_goes_towards_the_mean_of_the_cells_around() -> None:
    """Cells 0.2 and 0.6, beside 0.6 nothing, whose neighbours' mean is 0.6: flat to the edge."""
    values = np.array([[0.2, 0.6, NAN]], np.float32)
    field = sample(values, (10, 10), np.array([5.0, 10.0, 15.0, 19.0]), np.array([5.0]))
    assert field[0] == pytest.approx([0.2, 0.4, 0.6, 0.6])


def alike(polygon: shapely.Polygon, corners: list[tuple[float, float]]) -> bool:
    expected = shapely.Polygon(corners).normalize()
    return bool(polygon.normalize().equals_exact(expected, 1e-9))


def test_one_high_cell_among_low_ones_crosses_the_middle_at_its_edges() -> None:
    """From 1 to 0 the field crosses 0.5 halfway between the centres, on the cell's edge, and 0.25
    a quarter of a cell further out: by hand.
    """
    values = np.zeros((5, 6), np.float32)
    values[2, 3] = 1
    (half,) = level_set(values, 0.5, (10, 20), (60, 100))
    assert alike(half, [(30, 50), (35, 40), (40, 50), (35, 60)])
    (quarter,) = level_set(values, 0.25, (10, 20), (60, 100))
    assert alike(quarter, [(27.5, 50), (35, 35), (42.5, 50), (35, 65)])


def test_a_hole_stays_a_hole_and_the_edge_of_what_is_known_is_an_edge() -> None:
    values = np.ones((5, 6), np.float32)
    values[2, 3] = 0
    values[0] = NAN
    (area,) = level_set(values, 0.5, (10, 10), (58, 50))
    assert area.bounds == (0, 10, 58, 50)  # the first row is not known, and the slide ends at 58
    assert len(area.interiors) == 1
    assert area.area == pytest.approx(58 * 40 - 50)


def test_the_level_itself_is_in_and_nothing_gives_nothing() -> None:
    values = np.full((2, 3), 0.5, np.float32)
    (area,) = level_set(values, 0.5, (10, 10), (30, 20))
    assert area.equals(shapely.box(0, 0, 30, 20))
    assert level_set(values, 0.75, (10, 10), (30, 20)) == []
    assert level_set(np.full((2, 3), NAN, np.float32), 0.1, (10, 10), (30, 20)) == []


@given(seed=st.integers(0, 9999), holes=st.floats(0, 0.4))
@settings(max_examples=40, deadline=None)
def test_on_the_lines_between_centres_inside_is_where_the_value_is_high(
    seed: int, holes: float
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random((6, 7)).astype(np.float32)
    values[rng.random(values.shape) < holes] = NAN
    areas = level_set(values, 0.5, (10, 10), (70, 60))
    assert all(area.is_valid for area in areas)
    area = shapely.union_all(areas)
    at = np.arange(7) * 10 + 5.0
    for row in range(6):
        x = rng.uniform(0, 70, 20)
        field = sample(values, (10, 10), x, np.array([at[row]]))[0]
        inside = shapely.contains_xy(area, x, at[row])
        clear = np.abs(field - 0.5) > 0.01
        known = ~np.isnan(field)
        assert not inside[~known].any()
        assert not inside[known & clear & (field < 0.5)].any()
        centre = values[row, (x / 10).astype(int)] >= 0.5
        assert inside[known & clear & (field > 0.5) & centre].all()
