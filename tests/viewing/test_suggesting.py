"""Where to look next, on points along a line whose answers can be told by hand."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.errors import UsageError
from histocnn.reference.neighbours import Knn
from histocnn.viewing import suggesting
from histocnn.viewing.neighbour_map import TaughtMap
from histocnn.viewing.suggesting import Rule, Suggester

KNN = Knn(metric="euclidean")
# Three heaps at 0, 10 and 100, and one point far from all.
PLACES = [0, 0, 1, 10, 10, 11, 11, 12, 100, 100, 101, 1000]
COUNT = len(PLACES)
POINTS = np.array(PLACES, np.float32)[:, None]
BOXES = np.array([[10 * i, 0, 10 * i + 10, 10] for i in range(COUNT)], np.float64)
NOTHING = np.full(COUNT, -1)
NOWHERE = np.full(COUNT, np.inf, np.float32)


def suggester(boxes: np.ndarray = BOXES) -> Suggester:
    return Suggester(POINTS, np.arange(COUNT), boxes, KNN)


def a_map(uncertainty: list[float], farness: list[float]) -> TaughtMap:
    values = np.zeros((COUNT, 2), np.float32)
    measured = [np.array(each, np.float32) for each in (uncertainty, farness)]
    return TaughtMap(("a", "b"), values, NOTHING, measured[0], measured[0], measured[1])


UNSURE = a_map([0, 0, 0.5, 0, 0.9, 0.9, 0, 0, 0.1, np.nan, 0, 1], [*range(COUNT)])


def test_unlike_is_what_brings_most_patches_nearer_to_an_example() -> None:
    labels = NOTHING.copy()
    labels[0] = 0
    nearest = np.abs(POINTS[:, 0])
    first, second = suggester().suggest("unlike", 2, None, nearest, labels)
    # Of each place: by how much it brings all others nearer to an example, on average.
    gains = [np.maximum(nearest - np.abs(POINTS[:, 0] - p), 0).mean() for p in PLACES]
    assert PLACES[first.row] == PLACES[int(np.argmax(gains))]
    assert first.value == pytest.approx(max(gains))
    assert second.row != first.row
    assert first.rule == "unlike"


def test_the_first_of_all_is_typical_of_the_slide() -> None:
    [first] = suggester().suggest("combined", 1, None, NOWHERE, NOTHING)
    assert PLACES[first.row] in (10, 11, 12)


def test_uncertain_and_novel_go_by_the_map() -> None:
    labels = NOTHING.copy()
    labels[[0, 11]] = 0
    nearest = np.zeros(COUNT, np.float32)
    uncertain = suggester().suggest("uncertain", 3, UNSURE, nearest, labels)
    assert [each.row for each in uncertain] == [4, 5, 2]
    assert {each.rule for each in uncertain} == {"uncertain"}
    assert uncertain[0].centre_l0 == pytest.approx((45, 5))
    novel = suggester().suggest("novel", 2, UNSURE, nearest, labels)
    assert [(each.row, each.value) for each in novel] == [(10, 10), (9, 9)]


def test_neighbours_that_overlap_are_one_suggestion() -> None:
    overlapping = BOXES + np.array([0, 0, 5, 0])
    found = suggester(overlapping).suggest("novel", 4, UNSURE, NOWHERE, NOTHING)
    assert [each.row for each in found] == [11, 9, 7, 5]
    found = suggester(overlapping).suggest("unlike", COUNT, UNSURE, NOWHERE, NOTHING)
    rows = sorted(each.row for each in found)
    assert (np.diff(rows) > 1).all()


def test_combined_turns_to_what_is_uncertain() -> None:
    labels = NOTHING.copy()
    labels[[0, 3]] = 0
    nearest = np.zeros(COUNT, np.float32)
    looking = Suggester(POINTS, np.arange(COUNT), BOXES, KNN, first=3)
    assert looking.suggest("combined", 1, UNSURE, nearest, labels)[0].rule == "unlike"
    labels[11] = 0
    uncertainty = np.zeros(COUNT, np.float32)
    uncertainty[[1, 8, 9]] = 0.1, 0.5, 0.5
    unsure = a_map(uncertainty.tolist(), [0] * COUNT)
    nearest = np.abs(POINTS[:, 0])
    # The heap at 10 has most patches, but nobody doubts them.
    [found] = looking.suggest("combined", 1, unsure, nearest, labels)
    assert (found.rule, PLACES[found.row]) == ("uncertain", 100)
    assert found.value == pytest.approx((0.5 + 0.5) * 100 / COUNT)


def test_everything_labelled_leaves_nothing_and_a_strange_rule_is_refused() -> None:
    labels = np.zeros(COUNT, np.int64)
    rules: tuple[Rule, ...] = suggesting.RULES
    nearest = np.zeros(COUNT, np.float32)
    assert [suggester().suggest(rule, 5, UNSURE, nearest, labels) for rule in rules] == [[]] * 4
    with pytest.raises(UsageError, match="no rule 'best'"):
        suggester().suggest("best", 1, None, NOWHERE, NOTHING)  # type: ignore[arg-type]
