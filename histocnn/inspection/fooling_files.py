"""What `histocnn fool` writes: fool.json, fool.html, and pictures for a talk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from histocnn.inspection.fool_report import Exhibit, FoolReport
from histocnn.inspection.fooling_page import captions, pictured, write_page
from histocnn.metrics.plain import to_text
from histocnn.pictures import curves
from histocnn.pictures.contact import contact_sheet
from histocnn.pictures.curves import Curve
from histocnn.storage.atomic import write_text

JSON, PAGE, SHEET, CURVE = "fool.json", "fool.html", "fool.png", "accuracy"
FILES = (JSON, PAGE, SHEET, f"{CURVE}.png", f"{CURVE}.svg")
EACH = 2  # pictures of a trial on the sheet


def write_files(folder: Path, report: FoolReport, exhibits: Mapping[str, Exhibit]) -> list[Path]:
    """Write all files of a report; those of an earlier one are replaced.

    Args:
        folder: Where they go; there already.
        report: The figures.
        exhibits: By each trial's name some of its pictures.

    Returns:
        The files, the page first.
    """
    drawn = _curve(report, folder)
    for old in () if drawn else FILES[3:]:
        (folder / old).unlink(missing_ok=True)
    write_text(folder / JSON, to_text(report))
    sheet = [
        (pixels, [name, *said])
        for name, exhibit in ((trial.name, exhibits[trial.name]) for trial in pictured(report))
        for pixels, said in list(zip(exhibit.pixels, captions(exhibit), strict=True))[:EACH]
    ]
    contact_sheet(sheet, folder / SHEET, title=f"What fools {report.model}")
    write_page(folder / PAGE, report, exhibits, folder / f"{CURVE}.svg" if drawn else None)
    return [folder / name for name in (PAGE, JSON, SHEET, *(FILES[3:] if drawn else ()))]


def _curve(report: FoolReport, folder: Path) -> bool:
    """Draw the accuracy against ε; False without attacks."""
    found: dict[str, list[tuple[int, float]]] = {}
    for trial in report.trials:
        right = trial.figures.get("accuracy")
        if trial.epsilon is not None and right is not None and right.value is not None:
            found.setdefault(trial.name.partition(",")[0], []).append((trial.epsilon, right.value))
    if not found:
        return False
    lines = [Curve(name, *zip(*sorted(points), strict=True)) for name, points in found.items()]
    unattacked = report.trials[0].figures["accuracy"].value
    curves.save(curves.against_epsilon(lines, unattacked or 0.0), folder, CURVE)
    return True
