"""Slides to be judged: each one's heatmap of the target class, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import MetricError, UsageError
from histocnn.evaluation.judged import Judged
from histocnn.evaluation.options import LesionOptions
from histocnn.evaluation.truth import cells_of, lesions_of
from histocnn.metrics import camelyon17, froc
from histocnn.metrics.detections import Detections, read_detections
from histocnn.scores.detections import outside, peaks


class Case(NamedTuple):
    """One slide: its heatmap of the target class and what is known of it."""

    slide_id: str
    patient: str
    prob: NDArray[np.float32]  # [rows, cols]
    cell_um: tuple[float, float]
    score: float
    positive: bool | None
    label: str | None
    hits: froc.Hits | None  # None: neither lesions nor their absence are known
    excluded: int  # detections inside the slide's Exclusion, which `hits` does not hold


def choose_target(
    judged: Judged, entries: Mapping[str, SlideEntry], asked: str | None
) -> str | None:
    """The class whose presence makes a slide positive.

    As asked; else, of two classes, the one that is no slide's background.

    Raises:
        UsageError: The scores have no such class.
    """
    names = judged.class_names
    if asked is not None:
        if asked not in names:
            raise UsageError(
                f"--target {asked}: the scores have no such class", f"They have {', '.join(names)}."
            )
        return asked
    background = {entry.background for entry in entries.values()} & set(names)
    if len(names) == 2 and len(background) == 1:
        return next(name for name in names if name not in background)
    return None


def read_cases(
    judged: Judged, entries: Mapping[str, SlideEntry], target: str, options: LesionOptions
) -> list[Case]:
    """Heatmap and truth of every slide that slides.csv lists.

    Raises:
        StoreError: A slide's patches do not lie on a grid of known scale.
        MetricError: Its detections are missing.
    """
    column = judged.class_names.index(target)
    cases = []
    for i, file in enumerate(judged.files):
        entry = entries.get(file.slide_id)
        if entry is None or not file.is_slide:
            continue
        grid, drawn = file.grid(), judged.truths[i].drawn
        prob, cell_um = cells_of(file, grid, judged.scores[judged.file == i, column])
        if options.detections is None:
            points = peaks(grid, prob, radius_um=options.radius_um, min_prob=options.min_prob)
            score = float(np.nanmax(prob)) if np.isfinite(prob).any() else 0.0
        else:
            points = _own_detections(options.detections, file.slide_id)
            score = float(points.prob.max(initial=0.0))
        points, excluded = outside(points, drawn.exclusion if drawn else None)
        annotated = drawn is not None and target in drawn.classes
        positive = is_positive(entry, target, annotated=annotated)
        lesions_known = annotated or positive is False
        lesions = lesions_of(file, drawn, target) if annotated else None
        cases.append(
            Case(
                slide_id=file.slide_id,
                patient=entry.patient_id or file.attributes.get("patient_id") or file.slide_id,
                prob=prob,
                cell_um=cell_um,
                score=score,
                positive=positive,
                label=entry.label,
                hits=froc.hits(points, lesions) if lesions_known else None,
                excluded=excluded,
            )
        )
    return cases


def _own_detections(folder: Path, slide_id: str) -> Detections:
    path = folder / f"{slide_id}.csv"
    if not path.is_file():
        raise MetricError(
            f"{path} is missing", "Give one p,x,y file per slide, empty if nothing was found."
        )
    return read_detections(path)


def is_positive(entry: SlideEntry, target: str, *, annotated: bool) -> bool | None:
    """Whether the slide has the target class: by its label, else by annotation; None = unknown."""
    if entry.label in camelyon17.SLIDE_CLASSES:
        return entry.label != "negative"
    if entry.label is not None:
        return entry.label == target
    if entry.annotation_path is not None:
        return annotated
    return False if entry.background not in (None, target) else None
