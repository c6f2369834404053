from __future__ import annotations

import json

import numpy as np
import pytest

from histocnn.errors import MetricError
from histocnn.metrics.conformal import Promise
from histocnn.metrics.patch import UNKNOWN_GROUPS, Groups
from histocnn.metrics.plain import parsed, read_as, to_text
from histocnn.metrics.prediction_sets import SetReport, set_report
from histocnn.metrics.sections import Figure

PROMISE = Promise(0.9, "patients", {"a": 30, "b": 40})


def values(figures):
    return {name: figure.value for name, figure in figures.items()}


def test_means_over_patients_by_hand():
    """A: {a} {a, b} of a, {b} of b; B: {} of a; C: {a} of b; one patch has no truth."""
    sets = np.array([[1, 0], [1, 1], [0, 1], [0, 0], [1, 0], [1, 1]], bool)
    found = set_report(
        sets, [0, 0, 1, 0, 1, -1], Groups(np.array([7, 7, 7, 8, 9, 7])), "ab", PROMISE
    )
    assert values(found.per_class["a"]) == {
        "set_coverage": 1 / 2, "set_size": 3 / 4, "uncertain": 3 / 4,
    }  # fmt: skip
    assert values(found.per_class["b"]) == {"set_coverage": 1 / 2, "set_size": 1, "uncertain": 0}
    assert values(found.figures) == pytest.approx({"set_size": 7 / 9, "uncertain": 4 / 9})
    assert (found.n, found.groups) == (5, {"a": 2, "b": 2})
    assert "fewer than 5" in found.interval.note
    assert found.words[1:] == (
        "Too few patients to tell whether it is kept: a 2, b 2.",
        "Uncertain, with an empty set or one of several classes: 44.4% of the patches.",
    )
    assert read_as(SetReport, parsed(to_text(found))) == found


def many(covered, patients=40):
    """Every patient has 4 patches of each class; a's sets hold it in the share `covered`."""
    rng = np.random.default_rng(0)
    labels = np.tile([0] * 4 + [1] * 4, patients)
    sets = np.stack([labels == 0, labels == 1], axis=1)
    lost = (labels == 0) & (rng.random(len(labels)) > covered)
    sets[lost] = [False, True]
    return sets, labels, Groups(np.repeat(np.arange(patients), 8), replicates=200)


def test_a_promise_that_is_kept_and_one_that_is_not():
    kept = set_report(*many(0.95), ["a", "b"], PROMISE)
    assert kept.broken == {}
    assert kept.words[0] == (
        "Promised: the set of a new patient's patch holds its class with a probability of 90 % or "
        "more, as long as the patient is like those who calibrated (patients: a 30, b 40)."
    )
    assert len(kept.words) == 2
    broken = set_report(*many(0.6), ["a", "b"], PROMISE)
    figure = broken.per_class["a"]["set_coverage"]
    assert broken.broken == {"a": figure}
    assert figure.low < 0.6 < figure.high < 0.9
    assert broken.words[1].startswith(f"Not kept here: {figure} of the patches of a have it in")


def test_from_fewer_than_twenty_patients_nothing_is_promised():
    said = set_report(*many(0.95), ["a", "b"], Promise(0.9, "slides", {"a": 19, "b": 40})).words
    assert (
        said[0] == "No coverage is promised: sets were calibrated on fewer than 20 slides (a 19)."
    )
    assert not any("Promised" in line or "Too few" in line for line in said)


def test_without_patients_there_is_no_interval_and_without_a_class_no_figure():
    sets, labels, _ = many(0.95)
    found = set_report(sets, np.zeros(len(labels), int), Groups(np.full(len(labels), -1)), "ab",
                       PROMISE)  # fmt: skip
    assert found.interval.note == UNKNOWN_GROUPS
    assert found.per_class["b"]["set_coverage"] == Figure(None, None, None)
    assert found.groups == {"a": 0, "b": 0}
    nothing = set_report(np.zeros((0, 2), bool), [], Groups(np.zeros(0, int)), "ab", PROMISE)
    assert nothing.figures["uncertain"].value is None


@pytest.mark.parametrize(
    "text", ["{}", '{"confidence": 2, "unit": "patients", "patients": {}}', "[1]", "null"]
)
def test_what_is_no_promise_is_refused(text):
    with pytest.raises(MetricError):
        Promise.from_dict(json.loads(text))
