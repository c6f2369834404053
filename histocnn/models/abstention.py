"""Patients kept apart so that a model can say of new ones where it is not sure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from histocnn.cohort.sheet import check_leakage
from histocnn.cohort.whose import NOBODY, owners
from histocnn.errors import CohortError, MetricError, ModelError
from histocnn.metrics.conformal import FEWEST, Calibration, Promise, calibrate
from histocnn.metrics.patch import Groups
from histocnn.metrics.plain import plain
from histocnn.models.rows import CALIBRATION, Part, Rows
from histocnn.models.spec import ModelSpec
from histocnn.scores.scorefile import open_score_file


def check_calibration(rows: Mapping[Part, Rows], decided_by: str) -> None:
    """Refuse calibration patients who could promise nothing; none at all are fine.

    Args:
        rows: Of each split.
        decided_by: What the split follows, for the remedy.

    Raises:
        CohortError: They are not known, take part in another split, too, or are fewer than 20 of
            some class.
    """
    if CALIBRATION not in rows:
        return
    kept = rows[CALIBRATION]
    owned = owners(kept.slide_ids, kept.patient_ids)
    if (owned.of_row == NOBODY).any():
        raise CohortError(
            "of some calibration patches neither patient nor slide is known",
            "Prediction sets are promised to new patients: name these.",
        )
    patients = [patient for own in rows.values() for patient in own.patient_ids]
    check_leakage(patients, [part for part, own in rows.items() for _ in own.row], decided_by)
    counts = {
        name: len(np.unique(owned.of_row[kept.labels == label]))
        for label, name in enumerate(kept.class_names)
    }
    few = [f"{count} of {name}" for name, count in counts.items() if count < FEWEST]
    if few:
        raise CohortError(
            f"the calibration split has too few {owned.unit}: {', '.join(few)}; of fewer than "
            f"{FEWEST} no coverage is promised",
            f"Change {decided_by}: give it more, or none.",
        )


def calibrated(spec: ModelSpec, logits: NDArray[np.float32], rows: Rows) -> ModelSpec:
    """The spec with the limits of prediction sets.

    Args:
        spec: With its temperature.
        logits: float32 [N, C] of the calibration patches; NaN where unreadable.
        rows: These.
    """
    owned = owners(rows.slide_ids, rows.patient_ids)
    scores = softmax(logits / spec.temperature, axis=1)
    groups = Groups(owned.of_row, owned.unit)
    return replace(spec, conformal=plain(calibrate(scores, rows.labels, groups, rows.class_names)))


@dataclass(frozen=True, eq=False)
class Sets:
    """A model's prediction sets at one confidence.

    Attributes:
        least: float64 [C]: the score from which on each class is in a patch's set.
        promise: What score files say of it.
        always: Classes that every set holds, and the calibration patients that would change it.
    """

    least: NDArray[np.float64]
    promise: Promise
    always: Mapping[str, int]

    def notes(self, file: Path) -> list[str]:
        """What is to be said of a file that was scored with them."""
        scored = open_score_file(file)
        uncertain = scored.uncertain()
        count = 0 if uncertain is None else int(uncertain.sum())
        asked = f"{self.promise.confidence:g}"
        said = [f"{count} of {len(scored)} patches uncertain at confidence {asked}"]
        return said + [
            f"every set holds {name}: a confidence of {asked} takes {needed} "
            f"calibration {self.promise.unit}, it has {self.promise.patients[name]}"
            for name, needed in self.always.items()
        ]


def sets_of(spec: ModelSpec, confidence: float, model: str) -> Sets:
    """The prediction sets of a model.

    Args:
        spec: Of the model.
        confidence: From 0.5 to 0.999.
        model: What a message calls it.

    Raises:
        ModelError: It kept no patients for them, too few of a class, or a confidence that cannot
            be asked for.
    """
    if spec.conformal is None:
        raise ModelError(
            f"{model}: kept no patients to calibrate prediction sets on",
            "Train with --data.calibration 0.3, or with a split calibration in slides.csv.",
        )
    limits = Calibration.from_dict(spec.conformal)
    try:
        least = limits.least(confidence, spec.class_names)
    except MetricError as error:
        raise ModelError(f"{model}: {error.message}", error.remedy) from error
    patients = {name: limits.patients_of(name) for name in spec.class_names}
    promise = Promise(float(confidence), limits.unit, patients)
    return Sets(least, promise, limits.always(confidence))
