from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import wasserstein_distance
from sklearn.metrics import average_precision_score, roc_auc_score

from histocnn.errors import MetricError
from histocnn.metrics.calibration import Prior, operating_points
from histocnn.metrics.patch import Groups
from histocnn.metrics.plain import plain, to_text
from histocnn.metrics.transfer import shift
from histocnn.metrics.validation import CALLED, STEPS, Facts, facts

NAMES = ("normal", "tumour", "stroma")


def cohort(seed: int = 0, moved: float = 0.0) -> tuple[np.ndarray, np.ndarray, Groups]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, 3, 900)
    logits = rng.normal(size=(900, 3)) + 1.5 * np.eye(3)[labels] + [0, moved, 0]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scores[::50] = np.nan
    return scores.astype(np.float32), labels, Groups(np.arange(900) % 9, replicates=50)


def test_figures_are_scikit_learns() -> None:
    scores, labels, groups = cohort()
    found = facts(scores, labels, groups, NAMES, operating_points(scores, labels, NAMES))
    kept = (labels >= 0) & np.isfinite(scores).all(axis=1)
    assert (found.patches, found.groups, found.unit) == (kept.sum(), 9, "patients")
    for k, name in enumerate(NAMES):
        own, truth = found.classes[name], labels[kept] == k
        assert own.auroc == pytest.approx(roc_auc_score(truth, scores[kept, k]))
        area = average_precision_score(truth, scores[kept, k])
        assert own.average_precision == pytest.approx(area)
        called = scores[kept].argmax(axis=1) == k
        point = own.points[CALLED]
        assert point.sensitivity.value == pytest.approx(called[truth].mean())
        assert point.specificity.value == pytest.approx((~called)[~truth].mean())
        at = own.points["sensitivity_95"]
        assert at.sensitivity.value >= 0.95
        assert at.low <= at.threshold <= at.high


def test_bounds_of_a_drawn_threshold_are_drawn_likewise() -> None:
    scores, labels, groups = cohort()
    prior = Prior((0.2, 0.3, 0.5), 9)
    plain_points = operating_points(scores, labels, NAMES)
    points = operating_points(scores, labels, NAMES, prior)
    plain_facts = facts(scores, labels, groups, NAMES, plain_points)
    found = facts(scores, labels, groups, NAMES, points, prior)
    for name, share in zip(NAMES, prior.shares, strict=True):
        before, after = (own.classes[name].points for own in (plain_facts, found))
        assert after["sensitivity_95"] == before["sensitivity_95"]
        at, own = after["youden"], before["youden"]
        odds = [
            (bound / (1 - bound)) ** (9 / 13) * (share / (1 - share)) ** (4 / 13)
            for bound in (own.low, own.high)
        ]
        assert (at.low, at.high) == pytest.approx([each / (1 + each) for each in odds])
        assert at.low <= at.threshold <= at.high
        assert at.sensitivity.value == pytest.approx(points[name]["youden"]["sensitivity"])


def test_scores_moved_by_wassersteins_distance() -> None:
    first, second = (facts(*cohort(s, moved), NAMES) for s, moved in ((0, 0.0), (1, 2.0)))
    (a, labels_a, _), (b, labels_b, _) = cohort(0), cohort(1, 2.0)
    pairs = (a, labels_a), (b, labels_b)
    kept = [(x[:, 1], (y == 1) & np.isfinite(x).all(axis=1)) for x, y in pairs]
    moved = shift(first.classes["tumour"].own, second.classes["tumour"].own)
    oracle = wasserstein_distance(*(score[mask] for score, mask in kept))
    assert moved.wasserstein == pytest.approx(oracle, abs=0.003)
    medians = [np.quantile(s[m], 0.5, method="inverted_cdf") for s, m in kept]
    assert (moved.validation_median, moved.median) == pytest.approx(medians, abs=1e-6)


def test_a_cohort_is_remembered_in_a_few_kilobytes() -> None:
    scores, labels, groups = cohort()
    found = facts(scores, labels, groups, NAMES, operating_points(scores, labels, NAMES))
    text = json.dumps(plain(found))
    assert len(text) < 20_000
    assert Facts.from_text(text) == found
    assert Facts.from_text(to_text(found)) == found


def test_many_classes_leave_their_distributions_out() -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(21), 100)
    names = [f"c{k}" for k in range(21)]
    found = facts(scores, np.arange(100) % 21, Groups(np.arange(100) % 5), names)
    assert {len(own.own) for own in found.classes.values()} == {0}


def test_one_class_and_nobody_known() -> None:
    scores, labels, groups = cohort()
    nobody = replace(groups, of_patch=np.full(900, -1))
    found = facts(scores, np.where(labels == 1, 1, -1), nobody, NAMES)
    assert (found.groups, found.present) == (0, ["tumour"])
    own = found.classes["tumour"]
    assert (own.auroc, own.others) == (None, ())
    assert own.points[CALLED].sensitivity.groups == 0
    empty = facts(scores, np.full(900, -1), groups, NAMES)
    assert (empty.patches, empty.present) == (0, [])


@pytest.mark.parametrize("wrong", [[0.5] * 7, [float("nan")] * STEPS, [0.2, *[0.1] * (STEPS - 1)]])
def test_what_is_no_distribution_is_refused(wrong: list[float]) -> None:
    stored = plain(facts(*cohort(), NAMES))
    stored["classes"]["tumour"]["own"] = wrong
    with pytest.raises(MetricError, match="no distribution"):
        Facts.from_text(json.dumps(stored))
