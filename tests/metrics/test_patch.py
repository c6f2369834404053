from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
import torchmetrics.classification as tm
from scipy.special import softmax

from histocnn.errors import MetricError
from histocnn.metrics import patch, plain
from histocnn.metrics.calibration import operating_points
from histocnn.metrics.intervals import bootstrap
from histocnn.metrics.sections import Interval
from histocnn.metrics.tally import tally


def scored(n: int, c: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are often right, with ties, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, c, n)
    logits = rng.normal(size=(n, c)) + 1.5 * np.eye(c)[labels]
    return softmax(np.round(logits, 1), axis=1), labels


@pytest.mark.parametrize("c", [2, 5])
def test_every_figure_equals_scikit_learn(c):
    scores, labels = scored(700, c)
    names = [f"class {i}" for i in range(c)]
    found = patch.patch_report(scores, labels, names)
    predicted, hot = scores.argmax(1), np.eye(c)[labels]
    precision, recall, f1, support = sk.precision_recall_fscore_support(labels, predicted)
    expected = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "macro_precision": precision.mean(),
        "macro_recall": recall.mean(),
        "macro_f1": f1.mean(),
        "kappa": sk.cohen_kappa_score(labels, predicted),
        "quadratic_kappa": sk.cohen_kappa_score(labels, predicted, weights="quadratic"),
        "mcc": sk.matthews_corrcoef(labels, predicted),
        "macro_auroc": sk.roc_auc_score(hot, scores, average="macro"),
        "macro_average_precision": sk.average_precision_score(hot, scores, average="macro"),
        "brier": sk.brier_score_loss(labels, scores[:, 1] if c == 2 else scores),
    }
    for figure, value in expected.items():
        assert found.figures[figure].value == pytest.approx(value, abs=1e-12), figure
    for i, name in enumerate(names):
        own = {k: f.value for k, f in found.per_class[name].items()}
        assert own["precision"] == pytest.approx(precision[i])
        assert own["recall"] == pytest.approx(recall[i])
        assert own["f1"] == pytest.approx(f1[i])
        assert own["auroc"] == pytest.approx(sk.roc_auc_score(labels == i, scores[:, i]))
        assert own["average_precision"] == pytest.approx(
            sk.average_precision_score(labels == i, scores[:, i])
        )
        assert sum(found.confusion[i]) == support[i]
    assert [*map(list, found.confusion)] == sk.confusion_matrix(labels, predicted).tolist()


@pytest.mark.parametrize("c", [2, 4])
def test_calibration_error_equals_torchmetrics(c):
    scores, labels = scored(900, c, seed=1)
    metric = tm.MulticlassCalibrationError(num_classes=c, n_bins=15, norm="l1")
    expected = float(metric(torch.tensor(scores), torch.tensor(labels)))
    found = patch.patch_report(scores, labels, list("abcd")[:c])
    assert found.figures["ece"].value == pytest.approx(expected, abs=1e-6)


def test_figures_worked_out_by_hand():
    # Truth t t n n n, called t n n n t: one of two tumours and two of three normals are right.
    tumour = np.array([0.9, 0.4, 0.1, 0.2, 0.6])
    found = patch.patch_report(np.stack([1 - tumour, tumour], 1), [1, 1, 0, 0, 0], ["n", "t"])
    assert found.confusion == ((2, 1), (1, 1))
    assert found.figures["accuracy"].value == pytest.approx(3 / 5)
    assert found.figures["balanced_accuracy"].value == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found.figures["kappa"].value == pytest.approx((3 / 5 - 13 / 25) / (1 - 13 / 25))
    # 5 of 6 pairs of a tumour and a normal patch are rightly ordered
    assert found.figures["macro_auroc"].value == pytest.approx(5 / 6)
    # tumours stand at ranks 1 and 3
    assert found.per_class["t"]["average_precision"].value == pytest.approx((1 + 2 / 3) / 2)
    assert found.figures["brier"].value == pytest.approx((0.01 + 0.36 + 0.01 + 0.04 + 0.36) / 5)
    # five confidences, 0.9 0.6 0.9 0.8 0.6, in bins of 1/15: {.9, .9}: both right, {.6, .6}: none
    # right, {.8}: right
    assert found.figures["ece"].value == pytest.approx((0.2 + 1.2 + 0.2) / 5)
    full = [bin_ for bin_ in found.reliability if bin_.n]
    assert [(b.n, round(b.confidence, 6), b.accuracy) for b in full] == [
        (2, 0.6, 0.0),
        (1, 0.8, 1.0),
        (2, 0.9, 1.0),
    ]


def test_unlabelled_and_unscored_patches_are_counted_and_left_out():
    scores, labels = scored(60, 3)
    expected = patch.patch_report(scores, labels, "abc")
    more = np.vstack([scores, np.full((3, 3), np.nan), scores[:4], np.full((1, 3), np.nan)])
    found = patch.patch_report(more, np.concatenate([labels, [0, 1, 2], [-1] * 5]), "abc")
    assert (found.n, found.n_unlabelled, found.n_unscored) == (60, 5, 3)
    assert replace(found, n_unlabelled=0, n_unscored=0) == expected


def test_one_class_only_has_no_auroc_and_is_null_in_json():
    found = patch.patch_report(np.array([[0.8, 0.2], [0.3, 0.7]]), [0, 0], ["n", "t"])
    assert found.figures["macro_auroc"].value is None
    assert found.figures["mcc"].value is None
    assert found.per_class["t"]["recall"].value is None
    assert found.figures["accuracy"].value == 0.5
    undefined = json.loads(plain.to_text(found))["figures"]["macro_auroc"]
    assert undefined == {"value": None, "low": None, "high": None}


def test_a_class_without_patches_takes_no_part_in_the_means():
    scores, labels = scored(80, 3)
    labels = np.where(labels == 2, 0, labels)
    found = patch.patch_report(scores, labels, "abc")
    assert found.figures["balanced_accuracy"].value == pytest.approx(
        np.mean([found.per_class[n]["recall"].value for n in "ab"])
    )
    assert found.figures["macro_auroc"].value == pytest.approx(
        np.mean([found.per_class[n]["auroc"].value for n in "ab"])
    )


def test_a_constant_prediction_has_no_correlation():
    found = patch.patch_report(np.tile([0.9, 0.1], (4, 1)), [0, 0, 1, 1], ["n", "t"])
    assert [found.figures[k].value for k in ("mcc", "kappa", "macro_auroc")] == [0, 0, 0.5]


def test_stored_operating_points_are_applied_not_fitted_again():
    scores, labels = scored(300, 2, seed=3)
    points = operating_points(scores, labels, ["n", "t"])
    other, truth = scored(300, 2, seed=4)
    own = patch.patch_report(other, truth, ["n", "t"], points=points).per_class["t"]
    called = other[:, 1] >= points["t"]["youden"]["threshold"]
    assert own["youden_sensitivity"].value == pytest.approx(called[truth == 1].mean())
    assert own["youden_specificity"].value == pytest.approx((~called)[truth == 0].mean())


def test_nothing_to_judge_is_an_error():
    with pytest.raises(MetricError, match="no patch is both labelled and scored"):
        patch.patch_report(np.full((2, 2), np.nan), [0, 1], "ab")


def test_intervals_rest_on_groups_and_say_so():
    scores, labels = scored(200, 2, seed=5)
    of_patch = np.arange(200) % 8
    groups = patch.Groups(of_patch, "slides", replicates=50, seed=1)
    found = patch.patch_report(scores, labels, ["n", "t"], groups)
    expected = bootstrap(
        (counted := tally(scores, labels, of_patch, ["n", "t"])).figures, counted.patches,
        replicates=50, seed=1,
    )  # fmt: skip
    accuracy = found.figures["accuracy"]
    assert (accuracy.low, accuracy.high) == expected.bounds["accuracy"]
    auroc = found.per_class["t"]["auroc"]
    assert (auroc.low, auroc.high) == expected.bounds["auroc:t"]
    assert found.interval == Interval("slides", 8, 50, 0, "few slides")


def test_without_known_groups_there_is_no_interval_and_it_is_said():
    scores, labels = scored(40, 2)
    of_patch = np.where(np.arange(40) == 3, -1, np.arange(40) % 10)
    found = patch.patch_report(scores, labels, ["n", "t"], patch.Groups(of_patch))
    assert found.interval.note == "no interval: some patches are of no known patient or slide"
    assert found.figures["accuracy"].low is None
    labels[3] = -1  # nothing is judged of the patch without a patient
    assert patch.patch_report(scores, labels, ["n", "t"], patch.Groups(of_patch)).interval.groups


def test_models_are_compared_on_what_both_scored():
    scores, labels = scored(300, 2, seed=6)
    other = scored(300, 2, seed=7)[0]
    other[:5] = np.nan
    groups = patch.Groups(np.arange(300) % 10, replicates=100)
    found = patch.comparison((scores, other), labels, ["n", "t"], groups, ("a", "b"))
    assert (found.n, found.first, found.second, found.note) == (295, "a", "b", "")
    gap = found.figures["accuracy"]
    assert gap.first == pytest.approx((scores.argmax(1) == labels)[5:].mean())
    assert gap.second == pytest.approx((other[5:].argmax(1) == labels[5:]).mean())
    assert gap.low <= gap.difference == gap.first - gap.second <= gap.high
    assert 0 < gap.p <= 1
    few = patch.Groups(np.arange(300) % 4)
    without = patch.comparison((scores, other), labels, ["n", "t"], few, ("a", "b"))
    assert without.figures["accuracy"].p is None
    assert without.note == "no p-values: fewer than five patients, or unknown ones"
