"""report.html of an evaluation, made of its figures and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from histocnn.metrics import plain
from histocnn.metrics.intervals import FEWEST
from histocnn.metrics.report import Report
from histocnn.metrics.sections import ColourReport, Figure, Figures, FrocReport, SlideReport
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
    "youden": "about their greatest sum (Youden)",
}


class Errors(NamedTuple):
    """Errors of one kind, the most confident as pictures, and why some cannot be shown."""

    title: str
    pictures: Sequence[Picture]
    lost: str


class SlideErrors(NamedTuple):
    """Errors on one slide: how many, the most confident of them, and links to look at them.

    page: The slide's page that heatmap wrote, relative to the report; qupath: a file for QuPath;
    None where there is none. rows: x and y in level-0 px (or the image), truth, call, probability.
    """

    slide: str
    judged: int
    errors: int
    confident: int
    page: str | None
    qupath: str | None
    rows: Sequence[Sequence[Any]]


def write_report(
    path: Path,
    report: Report,
    *,
    drawings: Path,
    worst: Sequence[Errors] = (),
    explored: Sequence[SlideErrors] = (),
    heatmaps: Sequence[Picture] = (),
) -> None:
    """Write the page.

    Args:
        path: report.html.
        report: The figures.
        drawings: Folder of the curves as SVG.
        worst: The most confident errors, by kind.
        explored: The errors, by slide.
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
        explored=explored,
        few=few(report),
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
        coarse=coarse if few(report) else (lambda figure: figure),
        pairs_of=pairs_of,
        lesions_of=lesions_of,
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


def few(report: Report) -> bool:
    """Whether patients are too few for a third decimal."""
    return report.patch.interval.groups < FEWEST


def coarse(figure: Any) -> Any:
    """A figure of few patients with two decimals; anything else as it is.

    >>> from histocnn.metrics.sections import Figure
    >>> coarse(Figure(0.9721, None, None)), coarse("x")
    ('0.97', 'x')
    """
    if isinstance(figure, Figure) and figure.value is not None and figure.low is None:
        return f"{figure.value:.2f}"
    return figure


def colours(report: Report) -> list[tuple[str, ColourReport | str]]:
    """The baselines of colour that there are, or why not, each under what it is."""
    both = {
        "By the training patients": report.colour_training,
        "By the other judged patients, each left out in turn": report.colour_within,
        "As an older version has it": report.colour_only,
    }
    return [(title, own) for title, own in both.items() if own is not None]


def ordered(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that a page shows, those that stand for ranking first.

    >>> from histocnn.metrics.sections import Figure
    >>> names = ("accuracy", "quadratic_kappa", "macro_auroc")
    >>> list(ordered(dict.fromkeys(names, Figure(1, 1, 1))))
    ['macro_auroc', 'accuracy']
    """
    rest = [name for name in figures if name not in (*FIRST, *UNORDERED)]
    return {name: figures[name] for name in [*(n for n in FIRST if n in figures), *rest]}


FEW_THINGS = 10  # slides of a kind, or lesions, below which counts are shown


def pairs_of(slide: SlideReport) -> str:
    """The AUROC of few slides as pairs that are ordered rightly; empty of more.

    >>> pairs_of(SlideReport("t", 4, 2, "", {"auroc": Figure(0.75, None, None)}, ""))
    '3 of 4 pairs of a slide with and one without are ordered rightly'
    """
    without, auroc = slide.n - slide.positive, slide.figures["auroc"].value
    if auroc is None or min(slide.positive, without) >= FEW_THINGS:
        return ""
    pairs = slide.positive * without
    rightly = f"{round(auroc * pairs, 1):g} of {pairs:,}"
    return f"{rightly} pairs of a slide with and one without are ordered rightly"


def lesions_of(key: str, figure: Figure, froc: FrocReport) -> Any:
    """A sensitivity over few lesions as their count, else the figure.

    >>> lesions_of("sensitivity_at_1_fp", Figure(0.5, None, None), FrocReport(4, 2, 1, 0, (), "",
    ...            "", ""))
    '1 of 2'
    """
    counted = key.startswith("sensitivity") and froc.lesions < FEW_THINGS
    if not counted or figure.value is None:
        return figure
    return f"{round(figure.value * froc.lesions, 1):g} of {froc.lesions}"


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
