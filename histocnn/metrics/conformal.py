"""Prediction sets: the classes that a patch may be, with a probability promised for new patients.

Conformal prediction with patients as the unit, each class by itself (Mondrian). Source: Lee, Barber
and Willett, "Distribution-free inference with hierarchical data", 2023, arXiv:2306.06342, section
3 (their HCP), of each class's patches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.errors import MetricError
from histocnn.metrics.calibration import usable
from histocnn.metrics.patch import Groups
from histocnn.metrics.plain import read_as

FEWEST = 20  # patients of a class below which nothing is promised
LEVELS = np.arange(500, 1000) / 1000  # confidences whose limits are remembered
_SAME = 1e-6  # relative: predict computes the same patch's score again, in other batches


class _Stored:
    """What model and score files hold as plain values."""

    @classmethod
    def from_dict(cls, value: Any) -> Self:
        """Read what `plain.plain` made of one.

        Raises:
            MetricError: It is no such thing.
        """
        found: Self = read_as(cls, value, "conformal")
        return found


@dataclass(frozen=True)
class ClassLimits:
    """What is remembered of one class.

    Attributes:
        patients: Calibration patients that have patches of the class, K.
        patches: Their patches of the class.
        least: The score from which on the class is in the set, at the confidences 0.5, 0.501, …;
            it ends at K / (K + 1), beyond which every set holds the class.
    """

    patients: int
    patches: int
    least: tuple[float, ...]

    def __post_init__(self) -> None:
        falling = list(self.least) == sorted(self.least, reverse=True)
        inside = all(0 <= score <= 1 for score in self.least)
        counted = self.patients >= 0 and self.patches >= self.patients
        if not (falling and inside and counted and len(self.least) <= len(LEVELS)):
            raise MetricError("limits of prediction sets that cannot be", "Train the model again.")


@dataclass(frozen=True)
class Calibration(_Stored):
    """What calibration patients, who serve nothing else, say of scores.

    Attributes:
        unit: What the patients are: "patients", "slides" where these stand in for them.
        classes: By name.
    """

    unit: str
    classes: Mapping[str, ClassLimits]

    def least(self, confidence: float, class_names: Sequence[str]) -> NDArray[np.float64]:
        """The score from which on each class is in a patch's set: float64 [C], 0 = always.

        Args:
            confidence: From 0.5 to 0.999; between two thousandths the higher counts.
            class_names: C names.

        Raises:
            MetricError: A confidence that cannot be asked for, or a class with fewer than 20
                calibration patients, of which nothing is promised.
        """
        check_confidence(confidence)
        counts = {name: self.patients_of(name) for name in class_names}
        few = [f"{name} {count}" for name, count in counts.items() if count < FEWEST]
        if few:
            raise MetricError(
                f"too few calibration {self.unit} to promise coverage: {', '.join(few)}",
                f"Train with at least {FEWEST} of every class in the split calibration.",
            )
        at = math.ceil(confidence * 1000 - 1e-6) - 500
        limits = [self.classes[name].least for name in class_names]
        return np.array([own[at] if at < len(own) else 0.0 for own in limits])

    def patients_of(self, class_name: str) -> int:
        """K of a class; 0 of one that nobody calibrated."""
        own = self.classes.get(class_name)
        return own.patients if own else 0

    def always(self, confidence: float) -> dict[str, int]:
        """Classes that every set holds at this confidence, and the patients each would need."""
        needed = math.ceil(confidence / (1 - confidence) - 1e-6)
        return {name: needed for name, own in self.classes.items() if own.patients < needed}


@dataclass(frozen=True)
class Promise(_Stored):
    """What score files say of their prediction sets.

    Attributes:
        confidence: That was asked for.
        unit: What calibrated: patients, or slides that stand in for them.
        patients: How many of these each class has.
    """

    confidence: float
    unit: str
    patients: Mapping[str, int]

    def __post_init__(self) -> None:
        check_confidence(self.confidence)


def check_confidence(confidence: float) -> None:
    """Refuse a confidence outside 0.5 to 0.999.

    Raises:
        MetricError: Names it.
    """
    if not LEVELS[0] <= confidence <= LEVELS[-1]:
        raise MetricError(
            f"a confidence of {confidence:g} is not one from {LEVELS[0]:g} to {LEVELS[-1]:g}",
            "Give 0.9.",
        )


def calibrate(
    scores: ArrayLike, labels: ArrayLike, groups: Groups, class_names: Sequence[str]
) -> Calibration:
    """Sum calibration patches up: of every class the quantiles of 1 - its score.

    Args:
        scores: float [N, C]; rows with NaN take no part.
        labels: int [N], -1 = unknown; these neither.
        groups: The patients.
        class_names: C names.

    Raises:
        MetricError: Shapes differ, or some patch is of no known patient.
    """
    keep = usable(scores, labels)
    score, truth = np.asarray(scores, np.float64)[keep], np.asarray(labels)[keep]
    if not groups.known(np.where(keep, labels, -1)):
        raise MetricError(
            "calibration patches of no known patient or slide", "Name their patients."
        )
    patient, classes = groups.of(keep).numbers, {}
    for column, name in enumerate(class_names):
        own = truth == column
        limits = 1 - quantiles(1 - score[own, column], patient[own], LEVELS)
        least = [float(f"{p * (1 - _SAME):.7g}") for p in limits[np.isfinite(limits)]]
        classes[name] = ClassLimits(len(np.unique(patient[own])), int(own.sum()), tuple(least))
    return Calibration(groups.unit, classes)


def quantiles(
    values: NDArray[np.float64], patient: NDArray[np.integer], levels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Quantiles of values of which each of K patients has 1 / (K + 1), spread over its own evenly.

    The remaining 1 / (K + 1) lies at infinity: it stands for the patient to come.

    Args:
        values: float64 [N].
        patient: int [N].
        levels: float64 [L].

    Returns:
        float64 [L], the smallest value up to which that much weight lies; infinity beyond all.
    """
    _, number, count = np.unique(patient, return_inverse=True, return_counts=True)
    weight = 1 / (len(count) + 1) / count[number]
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weight[order])
    return np.append(values[order], np.inf)[np.searchsorted(below, levels - 1e-9)]
