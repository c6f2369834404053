"""Patients kept apart so that a model can say of new ones where it is not sure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from histocnn.cohort.sheet import check_leakage
from histocnn.cohort.whose import NOBODY, owners
from histocnn.errors import CohortError
from histocnn.metrics.conformal import FEWEST, calibrate
from histocnn.metrics.patch import Groups
from histocnn.metrics.plain import plain
from histocnn.models.rows import CALIBRATION, Part, Rows
from histocnn.models.spec import ModelSpec


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
