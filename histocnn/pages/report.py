"""report.html of an evaluation, made of its figures and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from histocnn.metrics import plain
from histocnn.metrics.report import Report
from histocnn.metrics.sections import ColourReport, Figures
from histocnn.metrics.transfer import TransferReport
from histocnn.pages.embedded import Picture, svg
from histocnn.pages.templating import render
from histocnn.storage.atomic import write_text

ROWS = 200  # of the cohort table; metrics.json holds all
HEADLINES = ("macro_auroc", "macro_average_precision", "balanced_accuracy")
FIRST = (*HEADLINES, "auroc", "average_precision")  # of a table
UNORDERED = ("quadratic_kappa",)  # figures of ordered classes, which patches' are not
CAPTIONS = {
    "roc": "ROC of patches.",
    "precision_recall": "Precision and recall of patches; dotted: what chance gives.",
    "reliability": "Calibration: below the diagonal the scores are too sure.",
    "confusion": "Confusion matrix of patches; shares of each true class.",
    "froc": "FROC: lesions found against false positives per slide.",
    "k_curve": "Figures against the number of neighbours.",
    "strip": "Score of each patch's true class, by slide; at the right the share called right.",
}
NAMES = {
    "macro_auroc": "AUROC (mean over classes)",
    "macro_average_precision": "average precision (mean over classes)",
    "macro_f1": "F1 (mean over classes)",
    "macro_precision": "precision (mean over classes)",
    "macro_recall": "recall (mean over classes)",
    "mcc": "Matthews correlation",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
    "f1": "F1",
    "kappa": "Cohen's kappa",
    "auroc": "AUROC",
    "froc": "FROC score (mean of the six)",
}
POINT_NAMES = {
    "called": "the highest score",
    "sensitivity_95": "95 % sensitivity",
    "specificity_95": "95 % specificity",
    "youden": "their greatest sum (Youden)",
}


class Errors(NamedTuple):
    """Errors of one kind, the most confident as pictures, and why some cannot be shown."""

    title: str
    pictures: Sequence[Picture]
    lost: str


def write_report(
    path: Path,
    report: Report,
    *,
    drawings: Path,
    worst: Sequence[Errors] = (),
    heatmaps: Sequence[Picture] = (),
) -> None:
    """Write the page.

    Args:
        path: report.html.
        report: The figures.
        drawings: Folder of the curves as SVG.
        worst: The most confident errors, by kind.
        heatmaps: Small heatmaps.
    """
    drawn = {
        name: svg(drawings / f"{name}.svg", caption)
        for name, caption in CAPTIONS.items()
        if (drawings / f"{name}.svg").is_file()
    }
    page = render(
        "report.html.j2",
        title=f"Evaluation: {report.title}",
        report=report,
        colours=colours(report),
        first=[drawn.pop("roc")] if "roc" in drawn else [],
        drawings=list(drawn.values()),
        worst=worst,
        heatmaps=heatmaps,
        headlines=HEADLINES,
        transfer=report.transfer if isinstance(report.transfer, TransferReport) else None,
        points=points(report),
        cohort=cohort(report),
        slide_rows=[row.values() for row in cohort(report)[:ROWS]],
        rows=ROWS,
        recipe=json.dumps(plain.plain(report.model), indent=1, ensure_ascii=False),
        name=name_of,
        per_class=without_points,
        ordered=ordered,
        point_name=lambda point: POINT_NAMES.get(point, point),
    )
    write_text(path, page)


def name_of(figure: str) -> str:
    """A figure's name as people say it.

    >>> name_of("macro_f1"), name_of("sensitivity_at_8_fp")
    ('F1 (mean over classes)', 'sensitivity at 8 fp')
    """
    return NAMES.get(figure, figure.replace("_", " "))


def without_points(figures: Figures) -> Figures:
    """The figures that do not depend on a stored threshold."""
    ends = ("_sensitivity", "_specificity")
    return ordered({key: own for key, own in figures.items() if not key.endswith(ends)})


def colours(report: Report) -> list[tuple[str, ColourReport | str]]:
    """The baselines of colour that there are, or why not, each under what it is."""
    both = {
        "By the training patients": report.colour_training,
        "By the other judged patients, each left out in turn": report.colour_within,
        "As an older version has it": report.colour_only,
    }
    return [(title, own) for title, own in both.items() if own is not None]


def ordered(figures: Figures) -> Figures:
    """The figures that a page shows, those that stand for ranking first.

    >>> from histocnn.metrics.sections import Figure
    >>> names = ("accuracy", "quadratic_kappa", "macro_auroc")
    >>> list(ordered(dict.fromkeys(names, Figure(1, 1, 1))))
    ['macro_auroc', 'accuracy']
    """
    rest = [name for name in figures if name not in (*FIRST, *UNORDERED)]
    return {name: figures[name] for name in [*(n for n in FIRST if n in figures), *rest]}


def points(report: Report) -> list[tuple[Any, ...]]:
    """List the class, purpose, threshold, sensitivity and specificity of each operating point.

    Of the target class where one is known; of two classes, which mirror each other, of the second.
    """
    stored, rows = report.model.get("thresholds", {}), []
    names = report.class_names
    shown = {report.target} if report.target else {*(names[-1:] if len(names) == 2 else names)}
    for name, own in report.patch.per_class.items():
        if name not in shown:
            continue
        for key in own:
            point, _, kind = key.rpartition("_")
            if kind == "sensitivity":
                threshold = stored.get(name, {}).get(point, {}).get("threshold")
                pair = (own[f"{point}_sensitivity"], own[f"{point}_specificity"])
                rows.append((name, POINT_NAMES.get(point, point), threshold, *pair))
    return rows


def cohort(report: Report) -> list[Mapping[str, Any]]:
    """The slides, without the columns that none of them fills."""
    slides = [vars(slide) for slide in report.slides]
    if not slides:
        return []
    order = dict.fromkeys(("slide_id", "patient_id", *slides[0]))
    keys = [key for key in order if any(slide[key] not in (None, "") for slide in slides)]
    return [{key.replace("_", " "): slide[key] for key in keys} for slide in slides]
