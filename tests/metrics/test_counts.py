"""Counts along a score, and the areas made of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histocnn.metrics.counts import auroc, average_precision, cumulative

SCORE, POSITIVE = [0.1, 0.9, 0.4, 0.4], [False, True, True, False]
CASES = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40).filter(
    lambda cases: len({positive for _, positive in cases}) == 2
)


def test_counts_at_or_above_each_distinct_score() -> None:
    thresholds, tp, fp = cumulative(SCORE, POSITIVE)
    assert thresholds[0] > 0.9
    assert thresholds[1:].tolist() == [0.9, 0.4, 0.1]
    assert tp.tolist() == [0, 1, 2, 2]
    assert fp.tolist() == [0, 0, 1, 2]
    assert json.loads(json.dumps(thresholds.tolist())) == thresholds.tolist()  # finite


def test_areas_by_hand() -> None:
    _, tp, fp = cumulative(SCORE, POSITIVE)
    assert auroc(tp, fp) == (1 + 1 + 0.5 + 1) / 4  # pairs; the tie counts half
    assert average_precision(tp, fp) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_a_class_that_is_missing_has_no_area() -> None:
    _, tp, fp = cumulative([0.2, 0.7], [True, True])
    assert np.isnan(auroc(tp, fp))
    assert average_precision(tp, fp) == 1
    _, tp, fp = cumulative([0.2, 0.7], [False, False])
    assert np.isnan(auroc(tp, fp))
    assert np.isnan(average_precision(tp, fp))


@given(CASES)
def test_auroc_is_the_share_of_pairs_in_the_right_order(cases: list[tuple[int, bool]]) -> None:
    score, positive = map(np.array, zip(*cases, strict=True))
    gap = score[positive][:, None] - score[~positive]
    _, tp, fp = cumulative(score.astype(float), positive)
    assert auroc(tp, fp) == pytest.approx(((gap > 0) + 0.5 * (gap == 0)).mean())


@given(CASES)
def test_average_precision_is_the_mean_precision_where_recall_rises(
    cases: list[tuple[int, bool]],
) -> None:
    score, positive = map(np.array, zip(*cases, strict=True))
    expected = np.mean([positive[score >= own].mean() for own in score[positive]])
    _, tp, fp = cumulative(score.astype(float), positive)
    assert average_precision(tp, fp) == pytest.approx(expected)
