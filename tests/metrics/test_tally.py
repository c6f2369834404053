"""Scores summed per patient: what is counted, and that a weighting is as good as a repetition."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk
from scipy.special import softmax

from histocnn.errors import MetricError
from histocnn.metrics.tally import STEPS, tally
from tests.metrics.test_patch import scored


def test_sums_per_patient_by_hand() -> None:
    scores = [[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.2, 0.8], [np.nan, np.nan]]
    sums = tally(scores, [0, 0, 1, -1, 1], [0, 0, 1, 1, 1], ("a", "b"))
    # Of patient 0 one is right and one not; of patient 1 one counts, a tie that goes to the first.
    assert sums.confusion.tolist() == [[[1, 1], [0, 0]], [[0, 0], [1, 0]]]
    assert sums.patches.tolist() == [[2, 0], [0, 1]]
    assert sums.squared_error == pytest.approx([0.01 + 0.01 + 0.36 + 0.36, 0.25 + 0.25])
    assert sums.bins[..., 0].sum(axis=1).tolist() == [2, 1]
    # Bins are (a, b]: 0.9 in the 14th of fifteen, 0.6 in the 9th, 0.5 in the 8th.
    assert np.argwhere(sums.bins[..., 0]).tolist() == [[0, 8], [0, 13], [1, 7]]


def test_stored_thresholds_are_counted_per_patient() -> None:
    points = {"b": {"youden": {"threshold": 0.5}}}
    sums = tally([[0.5, 0.5], [0.9, 0.1], [0.1, 0.9]], [1, 1, 0], [0, 1, 1], ("a", "b"), points)
    # True positives, false positives, positives, negatives; at the threshold is called.
    assert sums.points["b", "youden"].tolist() == [[1, 0, 1, 0], [0, 1, 1, 1]]
    found = sums.figures()
    assert found["youden_sensitivity:b"] == 0.5
    assert found["youden_specificity:b"] == 0


def test_nothing_to_count_is_an_error() -> None:
    with pytest.raises(MetricError, match="no patch is both labelled and scored"):
        tally([[np.nan, np.nan]], [0], [0], ("a", "b"))
    with pytest.raises(MetricError, match="2 scores per patch, but 3 class names"):
        tally([[0.5, 0.5]], [0], [0], ("a", "b", "c"))


def test_figures_under_weights_are_those_of_the_repeated_patients():
    scores, labels = scored(200, 3)
    groups = np.arange(200) % 7
    weights = np.array([[1, 0, 2, 1, 1, 3, 0], [0, 1, 1, 1, 1, 1, 2]])
    found = tally(scores, labels, groups, "abc").figures(weights)
    for row, weight in enumerate(weights):
        repeated = np.repeat(np.arange(200), weight[groups])
        expected = tally(scores[repeated], labels[repeated], repeated * 0, "abc").figures()
        for figure, value in expected.items():
            assert found[figure][row] == pytest.approx(value[0], abs=1e-12), figure


def test_grouping_many_scores_by_rank_moves_areas_by_less_than_1e_4():
    rng = np.random.default_rng(0)
    labels = (rng.random(4 * STEPS) < 0.05).astype(int)
    logit = rng.normal(size=4 * STEPS) + 2 * labels
    scores = softmax(np.stack([0 * logit, logit], 1), axis=1)
    counted = tally(scores, labels, np.arange(4 * STEPS) % 10, ["n", "t"])
    assert counted.ladders[0].positives.shape[1] == STEPS
    exact, grouped = counted.figures(), counted.figures(np.ones((1, 10)))
    assert exact["auroc:t"][0] == pytest.approx(sk.roc_auc_score(labels, scores[:, 1]), abs=1e-12)
    for figure in exact:
        assert grouped[figure][0] == pytest.approx(exact[figure][0], abs=1e-4), figure
