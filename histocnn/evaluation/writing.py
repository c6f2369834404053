"""What an evaluation leaves behind: pictures, tables, the page, and metrics.json last."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from histocnn.evaluation.assembly import Evaluated
from histocnn.evaluation.drawings import draw
from histocnn.evaluation.explorer import FOLDER, TABLE, explored, write_errors
from histocnn.evaluation.galleries import heatmap_pictures, worst_pictures
from histocnn.evaluation.table import to_csv
from histocnn.jobs import claims
from histocnn.jobs.ownership import check_apart, check_files, claim_files
from histocnn.metrics.camelyon17 import write_stage_labels
from histocnn.metrics.prediction_sets import SetReport
from histocnn.metrics.report import Report
from histocnn.pages.report import write_report
from histocnn.pictures.palette import Colours
from histocnn.storage.atomic import replacing, sweep, write_text

FILES = ("report.html", "metrics.csv", "metrics.json", "stage_labels.csv", "figures", TABLE, FOLDER)


def check(out: Path, inputs: Iterable[Path] = ()) -> None:
    """Refuse a folder where the report would lie among its inputs, or hit others' files.

    Raises:
        UsageError: It would.
        StoreError: The folder is a file.
    """
    check_apart(out, inputs)
    check_files(out, "evaluate", FILES, lambda: _is_report(out))


def _is_report(out: Path) -> bool:
    """Whether a version that kept no record of its files wrote this; train writes no page."""
    figures = claims.read(out / "metrics.json").keys()
    return (out / "report.html").is_file() and {"patch", "class_names"} <= figures


def write(
    out: Path,
    evaluation: Evaluated,
    heatmaps: Path | None = None,
    colours: Colours | None = None,
    *,
    show_ids: bool = False,
) -> list[Path]:
    """Write everything into a folder.

    Args:
        out: The folder.
        evaluation: The report, and what its pictures are drawn from.
        heatmaps: Folder that heatmap wrote, for small pictures and links.
        colours: Chosen for classes.
        show_ids: Write absolute paths of images, too.

    Returns:
        The files; metrics.json is the last.
    """
    claim_files(out, "evaluate", FILES)
    outputs = [out / name for name in ("report.html", "metrics.csv", "metrics.json")]
    if evaluation.classes is not None:
        outputs.insert(0, out / "stage_labels.csv")
        with replacing(outputs[0]) as temporary:
            write_stage_labels(temporary, evaluation.classes)
    draw(out / "figures", evaluation, colours)
    errors = write_errors(out, evaluation.judged, show_ids=show_ids)
    write_text(out / "metrics.csv", to_csv(evaluation.report))
    write_report(
        out / "report.html",
        evaluation.report,
        drawings=out / "figures",
        worst=worst_pictures(evaluation.judged, evaluation.entries),
        explored=explored(evaluation.judged, out, heatmaps),
        heatmaps=heatmap_pictures(heatmaps, evaluation.judged) if heatmaps else (),
    )
    write_text(out / "metrics.json", evaluation.report.to_json())
    for folder in (out, out / "figures", out / FOLDER):
        sweep(folder)  # what a killed evaluation left
    return [*sorted((out / "figures").glob("*.*")), *errors, *outputs]


def summary(out: Path, report: Report) -> str:
    """The figures that people look at first, and what they must know, as a few lines."""
    patch = report.patch
    lines = [f"{out / 'report.html'}: {patch.n:,} patches{patch.interval.of}"]
    lines += [f"  {line}" for line in report.words]
    sections = {
        "patches": (patch.figures, ("macro_auroc", "macro_average_precision", "balanced_accuracy")),
        "slides": (report.slide.figures if report.slide else {}, ("auroc",)),
        "lesions": ((report.froc.figures if report.froc else None) or {}, ("froc",)),
    }
    for what, (figures, keys) in sections.items():
        texts = [f"{key} {figures[key]}" for key in keys if key in figures]
        if texts:
            lines.append(f"  {what:<8} {', '.join(texts)}")
    said = [*report.warnings, *report.notes, *filter(None, [patch.interval.note])]
    said += _transfer(report)
    if isinstance(report.sets, SetReport):
        said += report.sets.words
    return "\n".join([*lines, *(f"  {line}" for line in said)])


def _transfer(report: Report) -> tuple[str, ...]:
    """Whether it transfers, in the report's own words."""
    found = report.transfer
    if found is None or isinstance(found, str):
        return (f"Transfer is not known: {found}.",) if found else ()
    return found.words
