from __future__ import annotations

import json

import numpy as np
import pytest

from histocnn.errors import MetricError
from histocnn.metrics.conformal import FEWEST, Calibration, ClassLimits, calibrate, quantiles
from histocnn.metrics.patch import Groups
from histocnn.metrics.plain import plain


def test_a_patient_weighs_as_much_as_any_other_and_one_lies_at_infinity():
    """Three patients: 1/4 each over .1 .3 | .2 | .4 .5, and 1/4 at infinity."""
    values = np.array([0.5, 0.2, 0.1, 0.4, 0.3])
    patient = np.array([9, 5, 7, 9, 7])
    levels = np.array([0.125, 0.126, 0.375, 0.376, 0.5, 0.501, 0.625, 0.75, 0.751])
    expected = [0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, np.inf]
    assert quantiles(values, patient, levels).tolist() == expected


def by_definition(values, patient, level):
    """The smallest value v with enough weight at or below it, each tried in turn."""
    patients = set(patient.tolist())
    for v in sorted(values):
        shares = [np.mean(values[patient == p] <= v) for p in patients]
        if sum(shares) / (len(patients) + 1) >= level - 1e-12:
            return v
    return np.inf


def test_equal_to_the_definition_tried_value_by_value():
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(25), rng.integers(1, 9, 25))
    values = np.round(rng.random(len(patient)), 2)  # with ties
    levels = np.array([0.5, 0.77, 0.9, 0.961, 0.962])
    expected = [by_definition(values, patient, level) for level in levels]
    assert quantiles(values, patient, levels).tolist() == expected
    assert expected[-1] == np.inf > expected[-2]  # 25 / 26 = 0.9615


def cohort(patients, rng, shift=0.0):
    """Two classes; a patient's own effect moves all its scores, few patches go with hard ones."""
    effect = rng.normal(0, 1, patients) - shift
    count = rng.integers(3, 40, patients) + 20 * (effect > 0)
    patient = np.repeat(np.arange(patients), count)
    logit = 1.5 + effect[patient] + rng.normal(0, 0.8, len(patient))
    labels = rng.integers(0, 2, len(patient))
    first = np.flatnonzero(np.diff(patient, prepend=-1))
    labels[first], labels[first + 1] = 0, 1  # everybody has both classes
    own = 1 / (1 + np.exp(-logit))
    scores = np.where(labels[:, None] == [0, 1], own[:, None], 1 - own[:, None])
    return scores, labels, patient


def test_limits_are_those_of_each_class_and_survive_json():
    scores, labels, patient = cohort(40, np.random.default_rng(2))
    scores[5], labels[6] = np.nan, -1
    found = calibrate(scores, labels, Groups(patient), ["a", "b"])
    again = Calibration.from_dict(json.loads(json.dumps(plain(found))))
    assert again == found
    keep = np.arange(len(labels)) > 6
    keep[:5] = True
    for column, name in enumerate("ab"):
        own = keep & (labels == column)
        assert found.classes[name].patches == own.sum()
        expected = 1 - by_definition(1 - scores[own, column], patient[own], 0.9)
        assert found.least(0.9, ["a", "b"])[column] == pytest.approx(expected, rel=3e-6)
        assert found.least(0.9, ["a", "b"])[column] <= expected
        # between two thousandths the higher counts, and other orders of classes are matched by name
        assert found.least(0.8991, ["b", "a"])[1 - column] == found.least(0.9, ["a", "b"])[column]


def test_beyond_what_patients_can_promise_every_set_holds_the_class():
    scores, labels, patient = cohort(30, np.random.default_rng(3))
    found = calibrate(scores, labels, Groups(patient), ["a", "b"])
    assert (found.least(0.967, ["a", "b"]) > 0).all()  # 30 / 31 = 0.9677
    assert found.least(0.968, ["a", "b"]).tolist() == [0, 0]
    assert found.always(0.967) == {}
    assert found.always(0.99) == {"a": 99, "b": 99}


def test_nothing_is_promised_from_fewer_than_twenty_patients():
    scores, labels, patient = cohort(FEWEST - 1, np.random.default_rng(4))
    found = calibrate(scores, labels, Groups(patient), ["a", "b"])
    with pytest.raises(MetricError, match=r"too few calibration patients .*: a 19, b 19"):
        found.least(0.9, ["a", "b"])
    with pytest.raises(MetricError, match="c 0"):
        found.least(0.9, ["c"])
    for confidence in (0.4, 1.0, float("nan")):
        with pytest.raises(MetricError, match="a confidence of"):
            found.least(confidence, ["a"])
    with pytest.raises(MetricError, match="no known patient"):
        calibrate(scores, labels, Groups(np.where(patient == 3, -1, patient)), ["a", "b"])


@pytest.mark.parametrize(
    ("patients", "patches", "least"),
    [
        (2, 1, ()),
        (-1, 1, ()),
        (1, 1, (0.5, 0.6)),
        (1, 1, (1.5,)),
        (1, 1, (float("nan"),)),
        (1, 1, (0.5,) * 501),
    ],
)
def test_limits_that_cannot_be_are_refused(patients, patches, least):
    with pytest.raises(MetricError, match="cannot be"):
        ClassLimits(patients, patches, least)


def mean_coverages(calibrations, patients, confidence, seed, shift=0.0):
    """Of each calibration the coverage of class a: a random patch of a random new patient."""
    rng = np.random.default_rng(seed)
    scores, labels, patient = cohort(4000, rng, shift)
    own, mine = scores[labels == 0, 0], patient[labels == 0]
    weight = 1 / np.bincount(mine, minlength=4000)[mine] / len(np.unique(mine))
    found = []
    for _ in range(calibrations):
        calibration = calibrate(*_grouped(cohort(patients, rng)), ["a", "b"])
        found.append(weight[own >= calibration.least(confidence, ["a"])[0]].sum())
    return np.array(found)


def _grouped(drawn):
    scores, labels, patient = drawn
    return scores, labels, Groups(patient)


def check_promise(calibrations, patients, confidence):
    coverage = mean_coverages(calibrations, patients, confidence, seed=patients)
    spread = np.percentile(coverage, (5, 95))
    print(
        f"{patients} patients at {confidence}: {coverage.mean():.3f}, 90 % of calibrations", spread
    )
    least, most = confidence - 0.015, confidence + 1 / (patients + 1) + 0.015
    assert least <= coverage.mean() <= most


def test_sets_of_new_patients_hold_the_truth_as_promised():
    check_promise(50, 20, 0.9)


@pytest.mark.slow
@pytest.mark.parametrize("patients", [20, 50, 100])
@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95])
def test_sets_hold_the_truth_over_200_calibrations(patients, confidence):
    check_promise(200, patients, confidence)


def test_patches_as_the_unit_would_promise_too_much():
    """The oracle of the check above: one weight for every patch falls short on new patients."""
    rng = np.random.default_rng(7)
    found = []
    scores, labels, patient = cohort(4000, rng)
    own, mine = scores[labels == 0, 0], patient[labels == 0]
    weight = 1 / np.bincount(mine, minlength=4000)[mine] / len(np.unique(mine))
    for _ in range(50):
        drawn, truth, _ = cohort(20, rng)
        values = 1 - drawn[truth == 0, 0]
        limit = quantiles(values, np.arange(len(values)), np.array([0.9]))[0]
        found.append(weight[1 - own <= limit].sum())
    assert np.mean(found) < 0.885
