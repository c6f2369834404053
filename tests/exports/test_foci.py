"""Foci: connected cells from a threshold on, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from histocnn.exports.foci import boxes_on_slide, foci
from histocnn.patches.grid import Window, build_grid
from histocnn.scores.scored import ScoredSlide
from tests.exports.scored_slide import scored_slide

NAN = float("nan")


def test_boxes_end_at_the_slides_edge() -> None:
    boxes = boxes_on_slide(scored_slide([0.5] * 6))
    assert boxes[:3].tolist() == [[0, 0, 200, 200], [200, 0, 400, 200], [400, 0, 560, 200]]


def test_cells_that_touch_by_a_side_are_one_focus_and_by_a_corner_two() -> None:
    slide = scored_slide([0.9, 0.6, 0.1, 0.2, 0.1, 0.8])
    first, second = foci(slide, 1, 0.5)
    assert first.polygon.equals(shapely.box(0, 0, 400, 200))
    assert (first.mean, first.highest) == pytest.approx((0.75, 0.9))
    assert first.area_mm2 == pytest.approx(200 * 100 / 1e6)  # µm² of 400 × 200 px
    assert second.polygon.equals(shapely.box(400, 200, 560, 400))  # cut at the edge
    assert second.area_mm2 == pytest.approx(80 * 100 / 1e6)
    assert second.class_index == 1


def test_the_threshold_itself_is_in_and_what_was_not_scored_is_not() -> None:
    slide = scored_slide([0.5, NAN, 0.25, NAN, NAN, 0.25])
    (only,) = foci(slide, 1, 0.5)
    assert only.polygon.equals(shapely.box(0, 0, 200, 200))
    assert foci(slide, 1, 0.75) == []
    (others,) = foci(slide, 0, 0.75)
    assert others.polygon.equals(shapely.box(400, 0, 560, 400))
    assert len(np.asarray(others.polygon.exterior.coords)) == 5  # no needless corner


def test_foci_of_dense_scores_are_smooth_and_keep_their_holes() -> None:
    """Patches of 20 px at every 10 px; cells are means of four. A ring of ones around a hole."""
    grid = build_grid((300, 300), (0.5, 0.5), patch_px=20, mpp=0.5, overlap_px=10)
    row, column = grid.cell.T
    distance = np.hypot(row - 14, column - 14)
    tumour = ((distance > 4) & (distance < 10)).astype(np.float32)
    slide = ScoredSlide("s1", grid, np.stack([1 - tumour, tumour], 1), ("normal", "tumour"))
    (focus,) = foci(slide, 1, 0.5)
    assert shapely.get_num_interior_rings(focus.polygon) == 1
    assert focus.polygon.is_valid
    # A patch's centre is one stride to the right of and below its corner: the ring's middle is 150.
    assert shapely.centroid(focus.polygon).coords[0] == pytest.approx((150, 150), abs=1)
    outer = shapely.Polygon(focus.polygon.exterior)
    assert outer.area == pytest.approx(100 * (distance < 10).sum(), rel=0.02)
    # A circle of 98.5 px; along the edges of cells it would be 788 px.
    assert outer.length == pytest.approx(2 * np.pi * 98.5, rel=0.1)
    assert focus.area_mm2 == pytest.approx(focus.polygon.area * 0.25 / 1e6)
    assert 0.5 < focus.mean < focus.highest == 1
    raster = slide.raster()[..., 1]
    assert focus.mean == pytest.approx(raster[raster >= 0.5].mean(), rel=1e-5)


def test_windows_are_shown_as_squares_of_a_stride_around_their_centres() -> None:
    grid = build_grid((400, 400), (0.5, 0.5), patch_px=112, mpp=1.0, overlap_px=80)
    dense = replace(grid, window=Window(side_px=128, offset_px=-16.0, centre_px=48.0))
    slide = ScoredSlide("s1", dense, np.full((len(grid), 2), 0.5, np.float32), ("a", "b"))
    boxes = boxes_on_slide(slide)
    assert boxes[0].tolist() == [64, 64, 128, 128]  # 48 px are 96 level-0 px, a stride is 64
    assert boxes[1].tolist() == [128, 64, 192, 128]
    assert boxes[-1].tolist() == [400, 400, 400, 400]  # begins at 384: its centre lies beyond


def test_a_focus_at_the_threshold_itself_has_its_score() -> None:
    grid = build_grid((100, 100), (0.5, 0.5), patch_px=20, mpp=0.5, overlap_px=10)
    tumour = np.full(len(grid), 0.25, np.float32)
    tumour[(grid.cell >= 4).all(axis=1) & (grid.cell <= 5).all(axis=1)] = 0.5
    slide = ScoredSlide("s1", grid, np.stack([1 - tumour, tumour], 1), ("normal", "tumour"))
    for focus in foci(slide, 1, 0.5):  # one cell lies in these four patches alone
        assert (focus.mean, focus.highest) == (0.5, 0.5)
        assert focus.area_mm2 < 1e-6


@pytest.mark.parametrize("overlap_px", [0, 75])
def test_a_cell_most_of_which_lies_beyond_the_slide_is_a_focus_too(overlap_px: int) -> None:
    """The last column's cell reaches 20 level-0 px onto the slide; its centre lies beyond it."""
    step = 2 * (100 - overlap_px)
    size_l0 = 9 * step + 20, 400
    grid = build_grid(size_l0, (0.5, 0.5), patch_px=100, mpp=1.0, overlap_px=overlap_px)
    tumour = (grid.cell[:, 1] == 9).astype(np.float32)
    slide = ScoredSlide("s1", grid, np.stack([1 - tumour, tumour], 1), ("normal", "tumour"))
    found = foci(slide, 1, 0.1)
    assert found[0].polygon.bounds[2] == size_l0[0]
    assert np.isfinite([focus.mean for focus in found]).all()


def test_what_reaches_its_threshold_beyond_the_slide_alone_is_no_focus() -> None:
    """The last column has exactly 0.25 at its centre, which the slide's edge cuts off."""
    grid = build_grid((470, 400), (0.5, 0.5), patch_px=100, mpp=1.0, overlap_px=75)
    tumour = (grid.cell[:, 1] == 9).astype(np.float32)
    slide = ScoredSlide("s1", grid, np.stack([1 - tumour, tumour], 1), ("normal", "tumour"))
    assert foci(slide, 1, 0.25) == []
