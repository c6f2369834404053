"""What an act changed, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.viewing.neighbour_map import TaughtMap
from histocnn.viewing.settling import Step, step


def a_map(names: tuple[str, ...], scores: list[list[float]]) -> TaughtMap:
    values = np.array(scores, np.float32)
    called = np.where(np.isnan(values[:, 0]), -1, np.nan_to_num(values).argmax(axis=1))
    nothing = np.zeros(len(values), np.float32)
    return TaughtMap(names, values, called, nothing, nothing, nothing)


def test_classes_are_matched_by_name_and_unread_patches_do_not_count() -> None:
    nan = float("nan")
    before = a_map(("a", "b"), [[1, 0], [0.6, 0.4], [0, 1], [nan, nan]])
    after = a_map(("b", "a", "c"), [[0, 1, 0], [0.5, 0.3, 0.2], [0.5, 0, 0.5], [nan, nan, nan]])
    found = step(before, after, 7)
    # The second patch turns from a to b. Moved: 0, 0.3 and 0.5.
    assert found.labelled == 7
    assert found.changed == pytest.approx(1 / 3)
    assert found.moved == pytest.approx(0.8 / 3)


def test_a_first_map_has_nothing_to_be_compared_with() -> None:
    some = a_map(("a", "b"), [[1, 0]])
    unread = a_map(("a", "b"), [[float("nan")] * 2])
    assert step(None, some, 2) == step(some, None, 2) == Step(2, None, None)
    assert step(unread, unread, 2) == Step(2, None, None)
    assert step(some, some, 3) == Step(3, 0.0, 0.0)
