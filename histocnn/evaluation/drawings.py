"""The pictures of a report, from judged patches; `pictures.curves` is how each is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from histocnn.evaluation.assembly import Evaluated
from histocnn.evaluation.judged import Judged
from histocnn.metrics.counts import cumulative
from histocnn.metrics.froc import RATES
from histocnn.metrics.sections import PatchReport
from histocnn.pictures import curves
from histocnn.pictures.lettering import short
from histocnn.pictures.palette import Colours, check_colours, class_colours

NAMES = ("roc", "precision_recall", "reliability", "confusion", "strip", "froc", "k_curve")
Save = Callable[[str, Figure], None]


def draw(folder: Path, evaluation: Evaluated, colours: Colours | None = None) -> None:
    """Draw everything that there is something to show in, and remove an older run's others.

    Args:
        folder: Where PNG and SVG go.
        evaluation: The report and its patches.
        colours: Chosen for classes.

    Raises:
        UsageError: A colour is of no judged class.
    """
    check_colours(colours, evaluation.judged.class_names)
    judged, report = evaluation.judged, evaluation.report
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        for suffix in ("png", "svg"):
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    footnote = report.stamp

    def save(name: str, picture: Figure) -> None:
        curves.save(picture, folder, name, footnote)

    names = judged.class_names
    shown = names if len(names) > 2 else (evaluation.target or names[-1],)
    _draw_curves(save, judged, report.patch, shown, colours)
    save(
        "reliability",
        curves.reliability(report.patch.reliability, report.patch.figures["ece"].value),
    )
    save("confusion", curves.confusion(report.patch.confusion, names))
    rows = strip_rows(judged)
    if rows:
        save("strip", curves.strip(rows, names, colours))
    if evaluation.curve is not None:
        save("froc", curves.froc(*evaluation.curve.curve(), RATES, evaluation.curve.sensitivity()))
    if report.k_curve:
        lines = {
            name.replace("_", " "): [getattr(point, name) for point in report.k_curve]
            for name in ("accuracy", "balanced_accuracy", "macro_auroc")
        }
        save("k_curve", curves.k_curve([point.k for point in report.k_curve], lines))


def _draw_curves(
    save: Save,
    judged: Judged,
    patch: PatchReport,
    shown: Sequence[str],
    colours: Colours | None,
) -> None:
    rows = judged.judged
    roc, precision, prevalence, drawn = [], [], [], []
    for name in shown:
        own = patch.per_class[name]
        if own["auroc"].value is None:
            continue
        column = judged.class_names.index(name)
        positive = judged.labels[rows] == column
        _, tp, fp = cumulative(judged.scores[rows, column], positive)
        recall = tp / tp[-1]
        said = short(name)
        roc.append(curves.Curve(f"{said}: {own['auroc']}", fp / fp[-1], recall))
        label = f"{said}: {own['average_precision']}"
        share = tp[1:] / (tp[1:] + fp[1:])
        precision.append(curves.Curve(label, recall, np.append(share[0], share)))
        prevalence.append(float(positive.mean()))
        drawn.append(column)
    own_colours = class_colours(judged.class_names, colours)[drawn]
    if roc:
        save("roc", curves.roc(roc, own_colours))
        save("precision_recall", curves.precision_recall(precision, prevalence, own_colours))


def strip_rows(
    judged: Judged,
) -> list[tuple[str, NDArray[np.float32], NDArray[np.int64], float]]:
    """One row per slide, the worst first: scores of the true class, labels, share called right."""
    kept = np.flatnonzero(judged.judged & (judged.slide >= 0))
    kept = kept[np.argsort(judged.slide[kept], kind="stable")]
    called, result = judged.called, []
    starts = np.flatnonzero(np.diff(judged.slide[kept], prepend=-1))
    for rows in np.split(kept, starts[1:]) if len(kept) else []:
        label = judged.labels[rows]
        right = float((called[rows] == label).mean())
        result.append(
            (judged.slide_ids[judged.slide[rows[0]]], judged.scores[rows, label], label, right)
        )
    return sorted(result, key=lambda row: row[3])
