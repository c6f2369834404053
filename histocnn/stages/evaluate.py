"""`histocnn evaluate`: scores and truth in; figures with intervals and a report out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from histocnn.jobs.ranges import NonNegativeFloat, NonNegativeInt, Probability
from histocnn.jobs.result import StageResult

if TYPE_CHECKING:
    from histocnn.metrics.report import Report


@dataclass(frozen=True, kw_only=True)
class Evaluation(StageResult):
    """What came of an evaluation; `to_dataframe` gives the rows of metrics.csv.

    Attributes:
        report: Every figure, typed.
    """

    report: Report


def evaluate(
    scores: str | Path,
    out: str | Path,
    slides: str | Path | None = None,
    split: Literal["train", "val", "test"] | None = None,
    match: str = "",
    target: str | None = None,
    compare: str | Path | None = None,
    primary: str | None = None,
    heatmaps: str | Path | None = None,
    detections: str | Path | None = None,
    radius_um: NonNegativeFloat = 200.0,
    min_prob: Probability = 0.1,
    froc: Literal["interp", "step"] = "interp",
    fp_slides: Literal["all", "normal"] = "all",
    stage_threshold: Probability = 0.5,
    stage_merge_um: NonNegativeFloat = 0.0,
    fit_stages: str | Path | None = None,
    replicates: int = 1000,
    seed: NonNegativeInt = 0,
    allow_seen: bool = False,
    allow_shared_patient: bool = False,
    allow_missing: bool = False,
    show_ids: bool = False,
    colours: str = "",
) -> Evaluation:
    """Turn scores and truth into figures with intervals, and a report that people read.

    Writes OUT/metrics.json (every figure with its interval and n), OUT/metrics.csv, OUT/figures/
    (PNG and SVG), OUT/report.html (one page that needs nothing else), OUT/errors.csv (every error
    with its place), OUT/errors/ (the same per slide, for QuPath) and, for CAMELYON17's classes,
    OUT/stage_labels.csv. Without slides.csv the truth is the
    labels in the score files; with it, they are made again where it names another annotation or
    background than the slide was tiled with, and the report says so.

    Args:
        scores: Folder that predict, knn or probe wrote, or one file of it.
        out: Folder for the report.
        slides: slides.csv: patients, centres, the slides' own labels, annotations of lesions.
        split: Only the slides that slides.csv puts in this split.
        match: Scores' class = truth's class, where names differ: AC=Tumor,H=Normal.
        target: Class whose presence makes a slide positive, and whose regions are lesions.
        compare: A second score folder of the same patches: differences with p-values.
        primary: The figure of the comparison that is named beforehand and tested, by default
            macro_auroc; the others' p-values are corrected (Holm) and count only where it differs.
        heatmaps: Folder that heatmap wrote, for small pictures in the report and links to the
            slides' pages.
        detections: Folder of <slide_id>.csv (p,x,y in level 0) instead of the heatmap's maxima.
        radius_um: Of two detections closer than this the more probable one counts.
        min_prob: Least probability of a detection.
        froc: Between two points of the FROC: a straight line, or the lower point.
        fp_slides: Slides on which false positives are counted.
        stage_threshold: CAMELYON17: probability from which a cell is tumour.
        stage_merge_um: CAMELYON17: foci at most this far apart are one.
        fit_stages: CAMELYON17: scores of labelled training nodes to fit these two on.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.
        allow_seen: Evaluate patients that were seen in training; every figure says so.
        allow_shared_patient: Evaluate slides of whose patients other slides were trained on; every
            figure says so.
        allow_missing: Evaluate although slides of slides.csv have no scores.
        show_ids: Write patient ids and absolute paths into the report, too.
        colours: Of classes in its pictures, such as tumour=#c00,normal=#3a7f44.

    Returns:
        The report, and where it lies.

    >>> evaluate("scores", "report", replicates=0)
    Traceback (most recent call last):
        ...
    histocnn.errors.UsageError: --replicates 0 is no number of replicates. Give 1000.
    """
    from histocnn.evaluation.assembly import evaluated
    from histocnn.evaluation.judged import parse_match
    from histocnn.evaluation.options import (
        Inputs,
        LesionOptions,
        Options,
        Resampling,
        StageOptions,
    )
    from histocnn.evaluation.writing import check, summary, write
    from histocnn.pictures.palette import parse_colours
    from histocnn.storage.ordinary import check_may_be_folder

    options = Options(
        inputs=Inputs(
            scores=Path(scores), slides=_path(slides), split=split, match=parse_match(match),
            compare=_path(compare), primary=primary, allow_seen=allow_seen,
            allow_shared_patient=allow_shared_patient, allow_missing=allow_missing,
        ),
        target=target,
        lesions=LesionOptions(
            froc=froc, fp_slides=fp_slides, radius_um=radius_um, min_prob=min_prob,
            detections=_path(detections),
        ),
        stages=StageOptions(
            threshold=stage_threshold, merge_um=stage_merge_um, fit=_path(fit_stages)
        ),
        resampling=Resampling(replicates=replicates, seed=seed),
        show_ids=show_ids,
    )  # fmt: skip
    chosen = parse_colours(colours)
    check_may_be_folder(Path(out))
    given = (options.inputs.scores, options.inputs.compare, _path(heatmaps), _path(detections))
    check(Path(out), [path for path in given if path is not None])
    evaluation = evaluated(options)
    outputs = write(Path(out), evaluation, _path(heatmaps), chosen, show_ids=show_ids)
    print(summary(Path(out), evaluation.report))
    return Evaluation(outputs=outputs, rows=evaluation.report.rows(), report=evaluation.report)


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
