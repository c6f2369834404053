"""Foci: connected cells from a threshold on, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from histocnn.exports.foci import boxes_on_slide, foci
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
