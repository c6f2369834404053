from __future__ import annotations

import numpy as np
import pytest

from benchmarks import transfer as simulated
from histocnn.metrics.calibration import operating_points
from histocnn.metrics.patch import Groups
from histocnn.metrics.rates import LOST
from histocnn.metrics.transfer import WORTH, TransferReport, transfer
from histocnn.metrics.transfer_words import words
from histocnn.metrics.validation import facts

NAMES = ("normal", "tumour")


def laboratories(patients: int, moved: float, target: str | None = None) -> TransferReport:
    """Two laboratories; in the second all logits of tumour are lower, so that ranking holds."""
    rng = np.random.default_rng(patients)
    parts = []
    for move in (0.0, moved):
        group = np.repeat(np.arange(patients), 60)
        labels = (np.arange(len(group)) % 3 == 0).astype(int)
        z = rng.normal(size=len(group)) + 4 * labels - 2 - move
        z += 0.3 * rng.normal(size=patients)[group]
        tumour = 1 / (1 + np.exp(-z))
        parts.append((np.stack([1 - tumour, tumour], 1), labels, Groups(group, replicates=30)))
    points = operating_points(*parts[0][:2], NAMES)
    first, second = (facts(*part, NAMES, points) for part in parts)
    return transfer(first, second, source="x", target=target, accuracy=0.7)


def test_thresholds_that_do_not_carry_over() -> None:
    found = laboratories(20, moved=2.5)
    assert [point.point for point in found.points] == ["called", "sensitivity_95",
                                                       "specificity_95", "youden"]  # fmt: skip
    assert {point.sensitivity_change.verdict for point in found.points} == {LOST}
    assert found.target == "tumour"  # of two classes the second, whose mirror the first is
    own = found.classes["tumour"]
    assert own.auroc == pytest.approx(own.validation_auroc, abs=0.02)
    assert own.own.median < own.own.validation_median
    assert (found.majority, found.majority_accuracy) == ("normal", pytest.approx(2 / 3))
    said = words(found)
    assert said[0].startswith("The ranking transfers, the thresholds do not")
    assert any("95 %" in line and "tumour are found" in line for line in said)


def test_the_target_decides_which_points_are_shown() -> None:
    found = laboratories(5, moved=0.0, target="normal")
    assert {point.class_name for point in found.points} == {"normal"}


def test_one_patient_has_counts_and_no_verdict() -> None:
    found = laboratories(1, moved=2.5)
    point = found.points[1]
    assert str(point.validation_sensitivity) == "19 of 20"
    assert (point.threshold.low, point.sensitivity_change.low) == (None, None)
    assert str(point.sensitivity_change) == ""
    said = " ".join(words(found))
    assert "rest on 1 patient of validation" in said
    assert "0.64 to 0.99" in said
    assert "Too few patients to tell (1 in validation, 1 in the test)" in said


def test_no_loss_says_what_would_have_been_seen() -> None:
    said = words(laboratories(40, moved=0.0))
    assert said[0].startswith("Ranking and thresholds look as in validation")
    assert "would have been seen in" in said[-1]


@pytest.mark.parametrize("patients", [1, 5, 20])
def test_worth_is_what_is_simulated(patients: int) -> None:
    found = simulated.worth(patients, 4000, np.random.default_rng(1))
    assert found == pytest.approx(WORTH[patients], abs=0.015)
