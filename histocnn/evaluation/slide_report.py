"""Figures of whole slides: slide AUROC, and the FROC over lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import MetricError
from histocnn.evaluation.cases import Case
from histocnn.evaluation.options import LesionOptions, Resampling
from histocnn.metrics import froc
from histocnn.metrics.intervals import bootstrap, delong_interval
from histocnn.metrics.patch import described, nest, number
from histocnn.metrics.sections import DeLong, Figure, FrocReport, SlideReport
from histocnn.metrics.tally import tally

SCORE = "highest probability"


def slide_report(cases: Sequence[Case], target: str, resampling: Resampling) -> SlideReport:
    """AUROC of slides by their most probable patch, with DeLong's and a bootstrap interval."""
    decided = [case for case in cases if case.positive is not None]
    positive = np.array([case.positive for case in decided], bool)
    n, n_positive = len(decided), int(positive.sum())
    if n_positive in (0, n):
        note = "AUROC undefined: the slides are of one class only"
        undefined = {"auroc": Figure(None, None, None)}
        return SlideReport(target, n, n_positive, SCORE, undefined, note)
    score = np.array([case.score for case in decided])
    group = np.unique([case.patient for case in decided], return_inverse=True)[1]
    counted = tally(np.stack([1 - score, score], 1), positive.astype(int), group, ("no", "yes"))
    intervals = bootstrap(
        counted.figures, counted.patches,
        replicates=resampling.replicates, seed=resampling.seed,
    )  # fmt: skip
    low, high = intervals.bounds.get("auroc:yes", (None, None))
    dependent = "takes slides of one patient as independent"
    return SlideReport(
        target=target,
        n=n,
        positive=n_positive,
        score=SCORE,
        figures={"auroc": Figure(number(froc.slide_auroc(score, positive)), low, high)},
        note="",
        interval=described(intervals, "patients"),
        delong=_delong(score, positive, dependent if group.max() + 1 < n else ""),
    )


def _delong(score: NDArray[np.float64], positive: NDArray[np.bool_], note: str) -> DeLong:
    interval = delong_interval(score, positive)
    low, high = interval.bounds.get("auroc", (None, None))
    return DeLong(low, high, "; ".join(filter(None, [interval.note, note])) or None)


def froc_report(
    cases: Sequence[Case], options: LesionOptions, resampling: Resampling
) -> tuple[FrocReport, froc.Froc | None]:
    """The FROC of the slides whose lesions, or whose lack of them, are known."""
    left_out = [case.slide_id for case in cases if case.slide_id.lower() in froc.LEFT_OUT]
    used = [case for case in cases if case.hits is not None and case.slide_id not in left_out]
    hits = [case.hits for case in used if case.hits is not None]
    maxima = options.detections is None
    report = FrocReport(
        n=len(used),
        lesions=sum(h.lesions for h in hits),
        normal=sum(h.normal for h in hits),
        unknown=len(cases) - len(used) - len(left_out),
        left_out=tuple(left_out),
        excluded_detections=sum(case.excluded for case in used),
        mode=options.froc,
        fp_slides=options.fp_slides,
        note="",
        radius_um=options.radius_um if maxima else None,
        min_prob=options.min_prob if maxima else None,
    )
    try:
        curve = froc.Froc(hits, options.froc, options.fp_slides)
    except MetricError as error:
        return replace(report, note=error.message), None
    group = np.unique([case.patient for case in used], return_inverse=True)[1]
    member = np.eye(int(group.max()) + 1)[group]  # [S, G]
    presence = member.T @ np.stack([curve.lesions, curve.counts_fp], axis=1)
    intervals = bootstrap(
        lambda weights: curve.figures(weights @ member.T), presence,
        replicates=resampling.replicates, seed=resampling.seed,
    )  # fmt: skip
    figures, _ = nest(curve.figures(), intervals)
    return replace(report, figures=figures, interval=described(intervals, "patients")), curve
