"""`histocnn train`: labelled patches in, a trained network and its figures out.

>>> import histocnn
>>> result = histocnn.train(out="runs/a", data={"patches": "grids"})  # doctest: +SKIP
>>> str(result.report.patch.figures["macro_auroc"])  # doctest: +SKIP
'0.931 [0.902, 0.957]'
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histocnn.errors import MetricError, one_line
from histocnn.jobs.ownership import claim_files
from histocnn.jobs.result import StageResult
from histocnn.metrics.report import Report
from histocnn.metrics.sections import PatchReport
from histocnn.metrics.terms import NOBODYS, Terms
from histocnn.models.parsing import as_words, parse
from histocnn.models.run_folder import METRICS, MODEL, OWN, check_ours, curves, is_finished
from histocnn.storage.atomic import sweep, write_text

if TYPE_CHECKING:
    from histocnn.models.shared import Shared

COMPARED = ("macro_auroc", "macro_average_precision", "balanced_accuracy")  # in the printed summary
DRAWN = ("history.png", "confusion.png")
LEFT = (MODEL, METRICS, "config.yaml", "split.csv", *DRAWN)


@dataclass(frozen=True)
class TrainResult(StageResult):
    """What a training run left.

    Attributes:
        report: Of the test split, as `metrics.json` has it; None after a trial, and where an older
            version wrote it.
    """

    report: Report | None = None


def train(words: Sequence[str] = (), /, **options: Any) -> TrainResult:
    """Train or fine-tune a network on labelled patches.

    Args:
        words: Those of the command line, as `histocnn train --help` explains them.
        options: The same by name: `config`, `out`, `ckpt_path` …; `data`, `model`, `trainer` and
            `early_stopping` as dicts or as the dataclasses of `models.options`.

    Returns:
        The files and the test split's report. What is trained already is not trained again.

    Raises:
        HistocnnError: What cannot be trained, and why.
    """
    settings = parse([*words, *as_words(options)])
    out = settings.run.out
    check_ours(settings)
    if is_finished(settings):
        print(f"{out}: trained already by this configuration; --overwrite trains again")
        stored = _stored(out / METRICS)
        if stored is not None and not all((out / name).is_file() for name in DRAWN):
            _draw(out, stored)  # killed before it had drawn
        return _result(out, stored)
    from histocnn.models import training  # loads torch and Lightning: the options are in order now

    report = training.train(settings, lambda shared: show_copies(out, shared))
    if report is None:
        return TrainResult()
    _draw(out, report)
    print(summary(out, report))
    return _result(out, report)


def _draw(out: Path, report: Report) -> None:
    from histocnn.pictures.curves import confusion, save_png  # matplotlib: half of --help's time
    from histocnn.pictures.training import write_history

    write_history(out / DRAWN[0], curves(out / "logs"), report.best_epoch)
    said = [f"test, accuracy {report.patch.figures['accuracy']}", report.stamp]
    title = "\n".join(filter(None, said))
    save_png(confusion(report.patch.confusion, report.class_names, title), out / DRAWN[1])


def show_copies(out: Path, shared: Shared) -> None:
    """Write OUT/copies.csv and OUT/copies.png: images that two splits share."""
    from histocnn.models.shared import SHEET, TABLE
    from histocnn.pictures.contact import contact_sheet

    claim_files(out, "train", OWN)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("first", "split", "second", "split", "orientation", "correlation"))
    table.writerows(shared.table())
    write_text(out / TABLE, text.getvalue())
    title = f"{len(shared.copies)} pairs that two splits share, side by side"
    contact_sheet(shared.pictures(), out / SHEET, title=title)


def _stored(path: Path) -> Report | None:
    try:
        return Report.from_json(path.read_text(encoding="utf-8"))
    except MetricError:  # an older version's
        return None


def _result(out: Path, report: Report | None) -> TrainResult:
    for folder in (out, out / "scores", out / "checkpoints"):
        sweep(folder)  # what a killed run left
    files = [out / name for name in (*LEFT, "scores.h5")] + sorted(out.glob("scores/*.h5"))
    rows = report.rows() if report else ()
    return TrainResult(outputs=[path for path in files if path.is_file()], rows=rows, report=report)


def summary(out: Path, report: Report) -> str:
    """The test split: the network, beside it colour alone, twice, and what else must be known."""
    lines = [f"{out}: test split{f' ({report.title})' if report.title else ''}"]
    sections = {
        "network": report.patch,
        "colour, from training": report.colour_training or report.colour_only,
        "colour, within test": report.colour_within,
    }
    for name, section in sections.items():
        if isinstance(section, PatchReport):
            figures = "  ".join(f"{key} {section.figures[key]}" for key in COMPARED)
            lines.append(f"  {name:<23}{figures}")
        elif section is not None:
            lines.append(f"  {name:<23}none: {section}")
    lines += [f"  {note}" for note in report.notes]
    terms = Terms.stored_in(report.model)
    lines += [f"  {one_line(terms.sentence())}"] * (terms != NOBODYS)
    return "\n".join(lines)
