from __future__ import annotations

from histocnn.searching.judging import Judged


def test_a_trials_value_is_the_mean_over_its_folds():
    assert Judged([0.25, 0.5, 0.75]).value == 0.5
