"""Acts on a row of four patches of 10 px, and one that half overlaps the last."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from histocnn.errors import UsageError
from histocnn.viewing.acts import (
    Act,
    areas_of,
    checked_name,
    checked_region,
    labels_of,
    names_of,
    row_at,
    rows_in,
)

BOXES = np.array([[x, 0, x + 10, 10] for x in (0, 10, 20, 30, 35)], np.float64)


def act(rows: list[int], name: str | None, region: shapely.Geometry | None = None) -> Act:
    return Act(np.array(rows), name, region)  # type: ignore[arg-type]


def test_the_last_word_holds() -> None:
    acts = [act([0, 1], "b"), act([1, 2], "a"), act([0], None), act([0, 3], "b")]
    assert names_of(acts) == ("b", "a")
    assert labels_of(acts, ("b", "a"), 5).tolist() == [0, 1, 1, 0, -1]
    assert labels_of(acts[:3], ("b", "a"), 5).tolist() == [-1, 1, 1, -1, -1]


@pytest.mark.parametrize(
    ("point", "row"), [((5, 5), 0), ((10, 0), 1), ((36, 5), 3), ((39, 9), 4), ((44.9, 5), 4),
                       ((45, 5), None), ((5, 10), None), ((-1, 5), None)]
)  # fmt: skip
def test_a_point_is_of_the_patch_whose_centre_is_nearest(
    point: tuple[float, float], row: int | None
) -> None:
    assert row_at(*point, BOXES) == row


def test_a_region_takes_what_it_covers_by_half() -> None:
    region = checked_region([(5, 0), (24.9, 0), (24.9, 10), (5, 10)])
    assert rows_in(region, BOXES).tolist() == [0, 1]
    with pytest.raises(UsageError, match="covers no patch by half"):
        rows_in(checked_region([(0, 0), (9, 0), (0, 9)]), BOXES)


def test_an_outline_that_crosses_itself_keeps_both_halves() -> None:
    assert checked_region([(0, 0), (10, 10), (10, 0), (0, 10)]).area == pytest.approx(50)


def test_a_scribble_that_nobody_could_repair_is_refused_at_once() -> None:
    """Of 3,000 corners at random it would take minutes, and nobody else would be answered."""
    corners = np.random.default_rng(0).uniform(0, 1000, (3000, 2)).tolist()
    with pytest.raises(UsageError, match="crosses itself more than 50,000 times"):
        checked_region(corners)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([(0, 0), (1, 1)], "of 2 points"),
        ([(0, 0), (1, 1), (2, 2)], "without an area"),
        ([(0, 0), (1, 1), ("x", 2)], "no numbers"),
        ([(0, 0), (1, 1), (2,)], "no numbers"),
        ([(0, 0, 0), (1, 1, 0), (2, 3, 0)], "not .x, y. on a slide"),
        ([(0, 0), (1, 1), (float("nan"), 2)], "not .x, y. on a slide"),
        ([(0, 0), (1, 1), (2e12, 2)], "not .x, y. on a slide"),
    ],
)
def test_what_is_no_outline_is_said(points: list[tuple[float, float]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        checked_region(points)


def test_names_are_text() -> None:
    assert checked_name(" <script>alert(1)</script> ") == "<script>alert(1)</script>"
    assert checked_name("x" * 64) == "x" * 64
    for wrong in ("", "  ", "x" * 65, "a\nb", "a\x00", "\ud800", "a\u202eb", "Exclusion"):
        with pytest.raises(UsageError):
            checked_name(wrong)


def test_a_later_act_is_cut_out_of_the_earlier() -> None:
    region = shapely.box(0, 0, 30, 10)
    areas = areas_of([act([0, 1, 2], "a", region), act([1], "b"), act([2], None)], BOXES)
    assert [(name, area.bounds) for name, area in areas] == [
        ("a", (0, 0, 10, 10)), ("b", (10, 0, 20, 10)),
    ]  # fmt: skip
