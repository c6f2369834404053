"""Validation beside test: whether ranking, thresholds and scores of a model carry over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from histocnn.metrics.rates import Change, Rate, change
from histocnn.metrics.sections import Figure
from histocnn.metrics.validation import STEPS, ClassFacts, Facts

# 95 % range of the sensitivity, in the whole population of patients, that a threshold for 95 % has
# which was chosen on so many of them: patients' sensitivities differ by 0.12 (SD) around 0.85, 50
# patches each. `benchmarks/transfer.py` prints it.
WORTH: Mapping[int, tuple[float, float]] = {
    1: (0.64, 0.99), 2: (0.78, 0.99), 3: (0.82, 0.99), 5: (0.86, 0.98), 10: (0.90, 0.98),
    20: (0.92, 0.97), 60: (0.93, 0.96),
}  # fmt: skip


@dataclass(frozen=True)
class PointTransfer:
    """One operating point in both cohorts.

    Attributes:
        class_name: The class that is called.
        point: `called` (the class of the highest score) or the point's name.
        threshold: With bounds over validation's patients; None of `called`.
        validation_sensitivity: Of validation's patches of the class, those that are called it.
        sensitivity: The same of the test.
        sensitivity_change: Test minus validation.
        validation_specificity: Of validation's other patches, those that are not.
        specificity: The same of the test.
        specificity_change: Test minus validation.
    """

    class_name: str
    point: str
    threshold: Figure | None
    validation_sensitivity: Rate
    sensitivity: Rate
    sensitivity_change: Change
    validation_specificity: Rate
    specificity: Rate
    specificity_change: Change


@dataclass(frozen=True)
class Shift:
    """One distribution of scores in both cohorts.

    Attributes:
        validation_median: None where validation has no such patch.
        median: None where the test has none.
        wasserstein: Mean distance that scores moved (Wasserstein's first), 0 to 1; None likewise.
    """

    validation_median: float | None
    median: float | None
    wasserstein: float | None


@dataclass(frozen=True)
class ClassTransfer:
    """One class against the rest in both cohorts.

    Attributes:
        validation_prevalence: Its share of validation's patches.
        prevalence: Its share of the test's.
        validation_auroc: None where a side is missing.
        auroc: Likewise.
        validation_average_precision: Likewise.
        average_precision: Likewise.
        own: The class's score on patches of the class.
        others: Its score on other patches.
    """

    validation_prevalence: float
    prevalence: float
    validation_auroc: float | None
    auroc: float | None
    validation_average_precision: float | None
    average_precision: float | None
    own: Shift
    others: Shift


@dataclass(frozen=True)
class TransferReport:
    """Validation beside test.

    Attributes:
        source: Where validation's scores are from.
        unit: What groups are: patients, slides.
        validation_groups: Of validation; 0 unknown.
        groups: Of the test; 0 unknown.
        validation_patches: Patches of validation.
        patches: Patches of the test.
        classes: By name.
        points: Operating points, of the target class where one is known.
        majority: The most frequent class of the test.
        majority_accuracy: What calling every patch so is right in.
        accuracy: What the scores are right in.
        words: The section in plain words.
        target: The class whose points are shown; None: all classes.
    """

    source: str
    unit: str
    validation_groups: int
    groups: int
    validation_patches: int
    patches: int
    classes: Mapping[str, ClassTransfer]
    points: tuple[PointTransfer, ...]
    majority: str
    majority_accuracy: float
    accuracy: float | None
    words: tuple[str, ...] = ()
    target: str | None = None


def transfer(
    validation: Facts, test: Facts, *, source: str, target: str | None, accuracy: float | None
) -> TransferReport:
    """Set a test beside validation.

    Args:
        validation: What is remembered of it.
        test: The same of the test, at the same thresholds.
        source: Where validation's scores are from.
        target: The class whose points are shown; None: of two classes the second, else all.
        accuracy: Of the test.
    """
    shared = [name for name in test.classes if name in validation.classes]
    shown = _shown(shared, target)
    most = max(test.classes, key=lambda name: test.classes[name].patches)
    return TransferReport(
        source=source,
        unit=test.unit,
        validation_groups=validation.groups,
        groups=test.groups,
        validation_patches=validation.patches,
        patches=test.patches,
        classes={
            name: _class(validation.classes[name], test.classes[name], validation, test)
            for name in shared
        },
        points=tuple(
            point
            for name in shown
            for point in _points(name, validation.classes[name], test.classes[name])
        ),
        majority=most,
        majority_accuracy=test.classes[most].patches / test.patches,
        accuracy=accuracy,
        target=shown[0] if len(shown) == 1 else None,
    )


def _shown(names: list[str], target: str | None) -> list[str]:
    if target in names:
        return [str(target)]
    return names[-1:] if len(names) == 2 else names


def _class(
    validation: ClassFacts, test: ClassFacts, cohort: Facts, test_cohort: Facts
) -> ClassTransfer:
    return ClassTransfer(
        validation.patches / max(cohort.patches, 1),
        test.patches / max(test_cohort.patches, 1),
        validation.auroc,
        test.auroc,
        validation.average_precision,
        test.average_precision,
        shift(validation.own, test.own),
        shift(validation.others, test.others),
    )


def shift(validation: tuple[float, ...], test: tuple[float, ...]) -> Shift:
    """How far scores moved, from both distributions at the middles of 201 equal shares.

    In one dimension Wasserstein's distance is the mean distance of the two quantile functions
    (Villani, "Topics in optimal transportation", 2003, 2.18).
    """
    distance = None
    if validation and test:
        distance = float(np.abs(np.subtract(validation, test)).mean())
    middle = STEPS // 2
    return Shift(
        validation[middle] if validation else None, test[middle] if test else None, distance
    )


def _points(name: str, validation: ClassFacts, test: ClassFacts) -> list[PointTransfer]:
    found = []
    for point, own in test.points.items():
        before = validation.points.get(point)
        if before is None:
            continue
        limit = own.threshold
        found.append(
            PointTransfer(
                class_name=name,
                point=point,
                threshold=None if limit is None else Figure(limit, before.low, before.high),
                validation_sensitivity=before.sensitivity,
                sensitivity=own.sensitivity,
                sensitivity_change=change(before.sensitivity, own.sensitivity),
                validation_specificity=before.specificity,
                specificity=own.specificity,
                specificity_change=change(before.specificity, own.specificity),
            )
        )
    return found


def worth(patients: int) -> tuple[float, float]:
    """What the "95 % sensitivity" of so many patients is worth in their whole population.

    >>> worth(1), worth(4)
    ((0.64, 0.99), (0.82, 0.99))
    """
    return WORTH[max(known for known in WORTH if known <= max(patients, 1))]
