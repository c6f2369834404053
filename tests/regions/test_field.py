"""Values between cells' centres, and the lines on which they cross a level."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from histocnn.regions.field import level_set, sample, under

NAN = np.nan


@given(
    seed=st.integers(0, 999),
    shape=st.tuples(st.integers(2, 6), st.integers(2, 6)),
    size_px=st.tuples(st.integers(1, 50), st.integers(1, 50)),
)
@settings(max_examples=30)
def test_between_centres_a_value_is_bilinear_and_beyond_them_it_stays(
    seed: int, shape: tuple[int, int], size_px: tuple[int, int]
) -> None:
    """The last cells are cut by the end of what the lattice covers."""
    values = np.random.default_rng(seed).random(shape).astype(np.float32)
    stride = (7.5, 4.25)
    size = (shape[1] * 7.5 - 3, shape[0] * 4.25 - 2)
    centres = [(np.arange(n) + 0.5) * s for n, s in zip(shape, stride[::-1], strict=True)]
    oracle = RegularGridInterpolator(centres, values.astype(float))
    x, y = ((np.arange(px) + 0.5) * end / px for px, end in zip(size_px, size, strict=True))
    at = np.meshgrid(
        *(np.clip(c, own[0], own[-1]) for c, own in zip((y, x), centres, strict=True)),
        indexing="ij",
    )
    expected = oracle(np.stack(at, axis=-1))
    assert sample(values, stride, size, size_px) == pytest.approx(expected, abs=1e-5)


def test_a_cell_alone_has_its_value_everywhere() -> None:
    values = np.full((3, 3), NAN, np.float32)
    values[1, 2] = 0.8
    field = sample(values, (10, 10), (30, 30), (60, 60))
    assert field[20:40, 40:] == pytest.approx(0.8)
    own = under(values, (10, 10), (30, 30), (60, 60))
    assert own[20:40, 40:] == pytest.approx(0.8)
    assert np.isfinite(own).sum() == 400


def test_beyond_the_outermost_centre_it_goes_towards_the_mean_of_the_cells_around() -> None:
    """Cells 0.2 and 0.6, beside 0.6 nothing, whose neighbours' mean is 0.6: flat to the edge."""
    values = np.array([[0.2, 0.6, NAN]], np.float32)
    field = sample(values, (10, 10), (30, 10), (6, 1))  # at 2.5, 7.5, 12.5, 17.5
    assert field[0, :4] == pytest.approx([0.2, 0.3, 0.5, 0.6])


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
    layer = [under(cells[..., axis], (stride, stride), (width, height), size_px) for axis in (0, 1)]
    assert layer[0].shape == (size_px[1], size_px[0])
    x = data.draw(st.integers(0, size_px[0] - 1))
    y = data.draw(st.integers(0, size_px[1] - 1))
    centre_l0 = ((x + 0.5) * width / size_px[0], (y + 0.5) * height / size_px[1])
    assert layer[0][y, x] == int(centre_l0[0] / stride)
    assert layer[1][y, x] == int(centre_l0[1] / stride)


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
    frames = (10, 10), (70, 60), (280, 6)  # rows at 5, 15 …
    x = (np.arange(280) + 0.5) / 4
    for row, field in enumerate(sample(values, *frames)):
        inside = shapely.contains_xy(area, x, row * 10 + 5)
        clear = np.abs(field - 0.5) > 0.01
        known = under(~np.isnan(values), *frames)[row]
        assert not inside[~known].any()
        assert not inside[known & clear & (field < 0.5)].any()
        centre = values[row, (x / 10).astype(int)] >= 0.5
        assert inside[known & clear & (field > 0.5) & centre].all()
