"""Figures of judged patches with their intervals: all of them, at outlines, and per centre."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from histocnn.evaluation.judged import Judged
from histocnn.evaluation.options import Resampling
from histocnn.metrics import patch
from histocnn.metrics.calibration import apply_temperature
from histocnn.metrics.sections import PatchReport
from histocnn.metrics.tally import Points, tally


def groups_of(judged: Judged, resampling: Resampling) -> patch.Groups:
    """The patients of judged patches, to be resampled."""
    return patch.Groups(
        judged.patient, judged.unit, replicates=resampling.replicates, seed=resampling.seed
    )


def patch_report(judged: Judged, resampling: Resampling) -> PatchReport:
    """Figures of all patches, at the operating points and temperature that were stored with them.

    Raises:
        MetricError: No patch is both labelled and scored.
    """
    report = patch.patch_report(
        judged.scores, judged.labels, judged.class_names, groups_of(judged, resampling),
        points=stored_points(judged).points,
    )  # fmt: skip
    if temperature := judged.files[0].attributes.get("temperature"):
        return replace(report, ece_before=ece_before(judged, temperature))
    return report


def ece_before(judged: Judged, temperature: float) -> float:
    """The calibration error that the scores had before the temperature was applied to them."""
    before = apply_temperature(judged.scores, 1 / temperature)
    group = np.zeros(len(judged.labels), int)
    return float(tally(before, judged.labels, group, judged.class_names).figures()["ece"].item())


def border_report(judged: Judged, resampling: Resampling) -> PatchReport | None:
    """Figures with the patches that an outline crosses; None where there is none."""
    if (judged.border == judged.labels).all():
        return None
    return patch.patch_report(
        judged.scores, judged.border, judged.class_names, groups_of(judged, resampling)
    )


def report_of(
    judged: Judged,
    rows: NDArray[np.bool_],
    resampling: Resampling,
    scores: NDArray[np.float32] | None = None,
) -> PatchReport:
    """Figures of some patches, bool [N], by their own scores or by others, float [N, C]."""
    scores = judged.scores if scores is None else scores
    return patch.patch_report(
        scores[rows], judged.labels[rows], judged.class_names,
        groups_of(judged, resampling).of(rows),
    )  # fmt: skip


def per_centre(
    judged: Judged, centre_of: Mapping[str, str], resampling: Resampling
) -> dict[str, PatchReport]:
    """Figures of the patches of every centre, where slides.csv names centres."""
    centres = np.array([*(centre_of.get(slide, "") for slide in judged.slide_ids), ""])
    of_patch = centres[judged.slide]
    rows_of = {str(name): of_patch == name for name in sorted(set(centres) - {""})}
    return {
        name: report_of(judged, rows, resampling)
        for name, rows in rows_of.items()
        if (rows & judged.judged).any()
    }


class StoredPoints(NamedTuple):
    """Operating points of the model that scored, as predict writes them.

    points: {class, by the truth's name: {point: {"threshold"}}}; None without any.
    dropped: The scores' own classes whose points say nothing, because the class was added to
        another: a threshold of one score is none of a sum.
    """

    points: Points | None
    dropped: tuple[str, ...]

    @property
    def notes(self) -> list[str]:
        """What the report says of those that were dropped."""
        said = ", ".join(self.dropped)
        note = f"Operating points of {said} left out: --match adds these classes up."
        return [note] * bool(said)


def stored_points(judged: Judged) -> StoredPoints:
    """The operating points that hold for the classes as they are judged."""
    first = judged.files[0]
    stored = first.attributes.get("thresholds")
    if not isinstance(stored, Mapping):
        return StoredPoints(None, ())
    names = dict(zip(first.class_names, judged.score_classes, strict=True))
    own = {name: stored[name] for name in names if isinstance(stored.get(name), Mapping)}
    summed = tuple(name for name in own if judged.score_classes.count(names[name]) > 1)
    points = {names[name]: point for name, point in own.items() if name not in summed}
    return StoredPoints(points or None, summed)
