"""Two models' scores of the same patches: which rows these are, and the differences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import MetricError
from histocnn.evaluation.judged import Judged
from histocnn.evaluation.options import Resampling
from histocnn.evaluation.patch_report import groups_of
from histocnn.metrics import patch
from histocnn.metrics.multiplicity import PRIMARY, corrected
from histocnn.metrics.sections import ComparisonReport
from histocnn.patches.classes import recolumn


def compare(
    first: Judged,
    second: Judged,
    resampling: Resampling,
    names: tuple[str, str],
    primary: str | None = None,
) -> ComparisonReport:
    """Compare two models on the patches that both scored, patient by patient.

    Args:
        first: One model's scores.
        second: Another's.
        resampling: How intervals are made.
        names: Of the two.
        primary: The figure that was named beforehand; None: the mean AUROC.

    Raises:
        UsageError: There is no such figure.
        MetricError: The classes differ, or no patch is in both.
    """
    if set(first.class_names) != set(second.class_names):
        raise MetricError(
            f"the two score folders have other classes: {', '.join(first.class_names)} and "
            f"{', '.join(second.class_names)}",
            "Compare models of the same classes, or use --match.",
        )
    a, b = _pairs(first, second)
    other = recolumn(second.scores[b], second.class_names, first.class_names)
    if not (first.judged[a] & ~np.isnan(other).any(axis=1)).any():
        raise MetricError("no patch is judged in both score folders", "Score the same grids.")
    groups = groups_of(first, resampling).of(a)
    found = patch.comparison(
        (first.scores[a], other), first.labels[a], first.class_names, groups, names
    )
    return corrected(found, primary or PRIMARY, resampling.replicates)


def _pairs(first: Judged, second: Judged) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the same patches in both: same slide and place, or same folder and image."""
    other = {file.slide_id: (i, file) for i, file in enumerate(second.files)}
    rows: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for i, file in enumerate(first.files):
        j, twin = other.get(file.slide_id, (-1, None))
        if twin is None:
            continue
        key = "coords" if file.is_slide else "paths"
        own, its = (f.read(key)[key] for f in (file, twin))
        place = {_place(value): row for row, value in enumerate(its)}
        twin_row = np.array([place.get(_place(value), -1) for value in own], np.int64)
        a, b = np.flatnonzero(first.file == i), np.flatnonzero(second.file == j)
        rows.append((a[twin_row >= 0], b[twin_row[twin_row >= 0]]))
    if not rows:
        raise MetricError("the two score folders have no slide in common", "Score the same grids.")
    return np.concatenate([a for a, _ in rows]), np.concatenate([b for _, b in rows])


def _place(value: Any) -> Any:
    return tuple(value.tolist()) if isinstance(value, np.ndarray) else value
