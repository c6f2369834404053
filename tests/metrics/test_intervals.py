from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from histocnn.errors import MetricError
from histocnn.metrics.intervals import bootstrap, delong, delong_interval, draw, paired_bootstrap
from histocnn.metrics.tally import Tally, tally


def cohort(
    patients: int, patches: int = 20, *, seed: int = 0, shift: float = 1.5, effect: float = 0.7
) -> Tally:
    """Patients with both classes and a random effect on the score of all their patches."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(patients), patches)
    label = np.tile(np.arange(patches) % 2, patients)
    z = rng.normal(size=len(group)) + shift * label + effect * rng.normal(size=patients)[group]
    tumour = 1 / (1 + np.exp(shift / 2 - z))
    return tally(np.stack([1 - tumour, tumour], 1), label, group, ["n", "t"])


def mean_of(values: np.ndarray):
    return lambda weights: {"mean": weights @ values / weights.sum(axis=1)}


def test_bootstrap_of_a_mean_is_its_normal_interval():
    values = np.random.default_rng(0).normal(size=400)
    found = bootstrap(mean_of(values), np.ones((400, 1)), replicates=4000)
    half = 1.96 * values.std() / 20
    assert found.bounds["mean"] == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.06 * half
    )
    assert (found.groups, found.replicates, found.redrawn, found.note) == (400, 4000, 0, "")


def test_the_same_seed_gives_the_same_interval_and_another_another():
    counted = cohort(30)
    first, again, other = (bootstrap(counted.figures, counted.patches, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first.bounds["accuracy"] != other.bounds["accuracy"]


def test_intervals_hold_the_point_estimate_of_every_figure():
    counted = cohort(50)
    found = bootstrap(counted.figures, counted.patches)
    for figure, value in counted.figures().items():
        low, high = found.bounds[figure]
        assert low < value[0] < high, figure


def test_below_five_patients_there_is_no_interval_and_below_twenty_a_warning():
    four, five, nineteen, twenty = (cohort(n) for n in (4, 5, 19, 20))
    found = bootstrap(four.figures, four.patches)
    assert found.bounds == {}
    assert found.note == "no interval: 4 patients, fewer than 5"
    assert bootstrap(five.figures, five.patches).note == "few patients"
    assert bootstrap(nineteen.figures, nineteen.patches).note == "few patients"
    assert bootstrap(twenty.figures, twenty.patches).note == ""


def test_draws_that_lack_a_class_are_redrawn_and_counted():
    presence = np.array([[1, 0]] * 9 + [[0, 1]])  # one patient of ten has all of class 1
    weights, redrawn = draw(presence, replicates=2000)
    assert weights.shape == (2000, 10)
    assert (weights[:, 9] > 0).all()
    assert (weights.sum(axis=1) == 10).all()
    # a draw lacks that patient with probability 0.9^10 = 0.349
    assert redrawn / (2000 + redrawn) == pytest.approx(0.9**10, abs=0.03)


def test_a_class_that_nobody_has_is_not_waited_for():
    weights, redrawn = draw(np.array([[1, 0]] * 6), replicates=100)
    assert (len(weights), redrawn) == (100, 0)


def test_patients_without_patches_are_not_resampled():
    counted = cohort(6)
    padded = np.vstack([counted.patches, np.zeros((3, 2))])

    def figures(weights):
        assert (weights[:, 6:] == 0).all()
        return counted.figures(weights[:, :6])

    assert bootstrap(figures, padded) == bootstrap(counted.figures, counted.patches)


def test_paired_bootstrap_finds_the_better_model_and_no_difference_between_equals():
    good, bad = cohort(60, shift=2.5, seed=1), cohort(60, shift=0.5, seed=1)
    found = paired_bootstrap(good.figures, bad.figures, good.patches)["auroc:t"]
    exact = good.figures()["auroc:t"][0] - bad.figures()["auroc:t"][0]
    assert found.difference == pytest.approx(exact, abs=1e-6)
    assert 0 < found.low < found.difference < found.high
    assert found.p == pytest.approx(2 / 1001)  # no replicate on the other side
    same = paired_bootstrap(good.figures, good.figures, good.patches)["auroc:t"]
    assert same == (0, 0, 0, 1)


def test_paired_bootstrap_is_refused_below_five_patients():
    few = cohort(4)
    assert paired_bootstrap(few.figures, few.figures, few.patches) == {}


def test_p_values_of_equal_models_are_uniform():
    rng = np.random.default_rng(5)
    p = [
        paired_bootstrap(
            mean_of(rng.normal(size=60)),
            mean_of(rng.normal(size=60)),
            np.ones((60, 1)),
            replicates=200,
            seed=i,
        )["mean"].p
        for i in range(2000)
    ]
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.05)
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.02)  # four standard errors


def test_delong_worked_out_by_hand():
    # Positives 0.9 0.6, negatives 0.7 0.2 0.1. Pairs rightly ordered: 3 of 3 and 2 of 3.
    found = delong([0.9, 0.6, 0.7, 0.2, 0.1], [1, 1, 0, 0, 0])
    assert found.auroc[0] == pytest.approx(5 / 6)
    # shares 1, 2/3 (variance 1/18) and 1/2, 1, 1 (variance 1/12): 1/36 + 1/36
    assert found.covariance[0, 0] == pytest.approx(1 / 18)
    half = 1.959964 * np.sqrt(1 / 18)
    assert found.bounds[0] == pytest.approx([5 / 6 - half, 1.0])


def test_delong_equals_its_definition_pair_by_pair():
    rng = np.random.default_rng(2)
    positive = rng.random(40) < 0.4
    scores = np.round(rng.normal(size=(2, 40)) + positive, 1)  # with ties
    psi = [
        (s[positive][:, None] > s[~positive]) + 0.5 * (s[positive][:, None] == s[~positive])
        for s in scores
    ]
    v10, v01 = np.array([p.mean(1) for p in psi]), np.array([p.mean(0) for p in psi])
    covariance = np.cov(v10) / positive.sum() + np.cov(v01) / (~positive).sum()
    found = delong(scores, positive)
    np.testing.assert_allclose(found.auroc, [roc_auc_score(positive, s) for s in scores])
    np.testing.assert_allclose(found.covariance, covariance)
    z = np.diff(found.auroc) / np.sqrt(covariance @ [1, -1] @ [1, -1])
    assert found.p() == pytest.approx(2 * norm.sf(abs(z[0])))


def test_delong_of_equal_scores_sees_no_difference():
    scores = [0.9, 0.6, 0.7, 0.2, 0.1]
    assert delong([scores, scores], [1, 1, 0, 0, 0]).p() == 1


def test_delong_needs_two_slides_of_each_class():
    with pytest.raises(MetricError, match="1 positive, 3 negative"):
        delong([0.1, 0.2, 0.3, 0.4], [0, 0, 0, 1])


@pytest.mark.slow
def test_intervals_of_200_patients_cover_the_truth():
    # The AUROC of endless patients: two patches of opposite class differ by 1.5 with variance
    # 2 (1 + 0.7²), almost surely of two patients.
    truth = norm.cdf(1.5 / np.sqrt(2 * (1 + 0.7**2)))
    inside = 0
    for seed in range(400):
        counted = cohort(200, seed=seed)
        low, high = bootstrap(counted.figures, counted.patches, replicates=400).bounds["auroc:t"]
        inside += low <= truth <= high
    assert 0.91 <= inside / 400 <= 0.97


def of_each(n: int, overlap: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """n positives at 1.5, 2.5 … and n negatives at 1, 2 …; without overlap 100 higher."""
    score = np.concatenate([np.arange(n) + (1.5 if overlap else 100.0), np.arange(n) + 1.0])
    return score, np.repeat([True, False], n)


def test_delong_gives_no_interval_of_few_slides():
    score, positive = of_each(9)
    found = delong_interval(score, positive)
    assert found.bounds == {}
    assert found.note == "no interval: 9 positive and 9 negative slides, fewer than 10 of one kind"
    assert delong_interval([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0]).bounds == {}
    assert delong_interval([0.9, 0.8, 0.2], [1, 1, 0]).bounds == {}


def test_delong_gives_no_interval_without_variance():
    score, positive = of_each(40, overlap=False)
    found = delong_interval(score, positive)
    assert found.bounds == {}
    assert found.note == "no interval: the classes do not overlap, so that DeLong sees no variance"


@pytest.mark.parametrize(("n", "note"), [(10, "few slides"), (29, "few slides"), (30, "")])
def test_delong_of_enough_slides_has_its_interval(n, note):
    score, positive = of_each(n)
    found = delong_interval(score, positive)
    assert found.bounds["auroc"] == pytest.approx(tuple(delong(score, positive).bounds[0]))
    assert (found.note, found.groups) == (note, 2 * n)
