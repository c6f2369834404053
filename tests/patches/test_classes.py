from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histocnn.patches.classes import recolumn, renumber, used

NAMES = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=6, unique=True)


def test_a_label_keeps_its_name_and_what_is_unknown_stays_so():
    labels = np.array([0, 2, 1, -1, 0])
    found = renumber(labels, ["tumour", "fat", "normal"], ["normal", "tumour"])
    assert found.tolist() == [1, 0, -1, -1, 1]  # nobody asks for fat
    assert found.dtype == np.int64
    assert renumber(np.zeros(0, int), [], ["a"]).tolist() == []
    assert renumber(np.array([-1, -1]), [], []).tolist() == [-1, -1]


def test_labels_may_be_a_table():
    neighbours = np.array([[0, 1], [-1, 0]], np.int32)
    assert renumber(neighbours, ["b", "a"], ["a", "b"]).tolist() == [[1, 0], [-1, 1]]


@given(NAMES, NAMES, st.data())
def test_names_are_what_is_kept(names, among, data):
    labels = data.draw(st.lists(st.integers(-1, len(names) - 1), max_size=9))
    found = renumber(np.array(labels, int), names, among)
    for old, new in zip(labels, found, strict=True):
        name = names[old] if old >= 0 else None
        assert (among[new] if new >= 0 else None) == (name if name in among else None)


def test_columns_follow_their_names():
    scores = np.array([[0.1, 0.2, 0.7], [0.5, np.nan, 0.5]], np.float32)
    found = recolumn(scores, ["b", "a", "c"], ["a", "b", "c"])
    assert found.dtype == np.float32
    assert found[0] == pytest.approx([0.2, 0.1, 0.7])
    assert np.isnan(found[1]).all()


def test_classes_that_stand_for_one_are_added_up():
    scores = np.array([[0.25, 0.5, 0.25]], np.float32)
    assert recolumn(scores, ["t", "n", "t"], ["t", "n"]).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize("among", [["a"], ["a", "b", "c"], ["a", "c"]])
def test_no_score_is_lost_or_made_up(among):
    with pytest.raises(ValueError, match="a, b"):
        recolumn(np.zeros((1, 2), np.float32), ["a", "b"], among)


def test_only_classes_with_a_label_are_used():
    assert used(np.array([0, 2, -1, 2]), ["a", "b", "c"]) == {"a", "c"}
    assert used(np.array([-1]), ["a"]) == set()
