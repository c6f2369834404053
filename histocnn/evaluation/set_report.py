"""The section on prediction sets: read from score files, by the truth's classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import MetricError, StoreError
from histocnn.evaluation.judged import Judged
from histocnn.evaluation.options import Resampling
from histocnn.evaluation.patch_report import groups_of
from histocnn.metrics.conformal import Promise
from histocnn.metrics.prediction_sets import SetReport, set_report
from histocnn.scores.scorefile import ScoreFile

COMPARED = "neighbours and regressions (knn, probe) have no patients to calibrate sets on"
UNASKED = "the scores were made without --confidence, which a model with calibration patients takes"


def sets_report(judged: Judged, resampling: Resampling) -> SetReport | str:
    """The section, or why there is none.

    Raises:
        StoreError: What a file says of its sets cannot be.
    """
    without = [file for file in judged.files if "sets" not in file.shapes]
    if without:
        stage = (judged.files[0].attributes.get("recipe") or {}).get("stage")
        if len(without) < len(judged.files):
            return f"{len(without)} of {len(judged.files)} score files have no prediction sets"
        return COMPARED if stage in ("knn", "probe") else UNASKED
    promises = {file.path.name: promise_of(file) for file in judged.files}
    first, *others = promises.values()
    if any(other != first for other in others):
        return "the score files' prediction sets were not made by one model at one confidence"
    names = dict(zip(judged.files[0].class_names, judged.score_classes, strict=True))
    patients = {
        name: min(n for own, n in first.patients.items() if names[own] == name)
        for name in judged.class_names
    }
    labels = np.where(judged.judged, judged.labels, -1)
    promise = Promise(first.confidence, first.unit, patients)
    return set_report(_sets(judged), labels, groups_of(judged, resampling), judged.class_names,
                      promise)  # fmt: skip


def promise_of(file: ScoreFile) -> Promise:
    """What the file says of its sets.

    Raises:
        StoreError: That cannot be, or it names other classes than the scores have.
    """
    try:
        found = Promise.from_dict(file.attributes.get("conformal"))
    except MetricError as error:
        raise StoreError(f"{file.path}: {error.message}", "Score the slides again.") from error
    if found.patients.keys() != set(file.class_names):
        raise StoreError(
            f"{file.path}: its prediction sets are of other classes than its scores",
            "Score the slides again.",
        )
    return found


def _sets(judged: Judged) -> NDArray[np.bool_]:
    """Bool [N, C] by the truth's classes: one that several stand for is in where one of them is."""
    found = np.zeros((len(judged), len(judged.class_names)), bool)
    for number, file in enumerate(judged.files):
        names = dict(zip(judged.files[0].class_names, judged.score_classes, strict=True))
        own, rows = file.sets(), judged.file == number
        for column, name in enumerate(file.class_names):
            place = judged.class_names.index(names[name])
            found[rows, place] |= own[:, column] if own is not None else False
    return found
