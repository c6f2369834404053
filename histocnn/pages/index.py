"""index.html of a folder that `run` or `demo` filled: slides, scores, what failed, the report.

The page holds no pixels: thumbnails are the pictures that `heatmap` wrote, asked for by relative
path when they come into sight, so that ten thousand slides open at once and the folder can be
moved. It names slides by their ids and shows no absolute path.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from histocnn.jobs import claims
from histocnn.jobs.ownership import FAILURES_HEADER, check_files, claim_files, first_line
from histocnn.pages.templating import render
from histocnn.storage.atomic import write_text

NAME = "index.html"
OWNER = "run"  # whose the page is in the folder's records, be it run's or demo's
PURPOSE = "For research use only."
MOST_FAILURES = 200  # in the page; all of them are in failures.csv
MOST_CLASSES = 6  # of a slide, the highest ones
# From where a path may begin to the last slash before its name.
_FOLDERS = re.compile(r"(?:(?<=[\s'\"(])|^)(?:[A-Za-z]:)?(?:[\\/][^\\/:\n]+)+[\\/]")


@dataclass(frozen=True)
class Score:
    """What a slide's row says of a class: the mean of its highest scores, and the area in mm²."""

    class_name: str
    top_mean: float
    area_mm2: float | None


@dataclass(frozen=True)
class Row:
    """A slide of the page; addresses are relative and quoted, None where there is no such file.

    `scores` are of the highest classes, in the order of their names, and `more` have lower ones.
    """

    slide_id: str
    patches: int | None
    scores: Sequence[Score]
    more: int
    picture: str | None
    page: str | None
    grid: str | None


@dataclass(frozen=True)
class Failure:
    """What failed, or should be looked at."""

    slide_id: str
    stage: str
    message: str


@dataclass(frozen=True)
class Folder:
    """Where a run's files lie, all below one folder.

    Attributes:
        out: The folder.
        heatmaps: What `heatmap` wrote.
        grids: What `tile` wrote.
        others: Further folders whose failures are told.
        report: What `evaluate` wrote.
    """

    out: Path
    heatmaps: Path
    grids: Path
    others: Sequence[Path]
    report: Path


def check(out: Path) -> None:
    """Refuse a folder whose index.html is somebody else's, before hours are spent on it.

    Raises:
        UsageError: It is.
        StoreError: The folder is a file.
    """
    check_files(out, OWNER, [NAME], lambda: False)


def write_index(folder: Folder, title: str) -> Path:
    """Write the page of what lies in the folder now.

    Returns:
        The page.

    Raises:
        UsageError: There is one that is somebody else's.
        StoreError: It cannot be written.
    """
    check(folder.out)
    claim_files(folder.out, OWNER, [NAME])
    tables = {part / "failures.csv": _failures(part / "failures.csv") for part in _parts(folder)}
    failures = [each for found in tables.values() for each in found]
    report = folder.report / "report.html"
    errors = folder.report / "errors.csv"
    page = render(
        "index.html.j2",
        title=title,
        purpose=PURPOSE,
        rows=list(_rows(folder)),
        failures=failures[:MOST_FAILURES],
        more=max(0, len(failures) - MOST_FAILURES),
        tables=[_link(table, folder.out) for table, found in tables.items() if found],
        report=_link(report, folder.out) if report.is_file() else None,
        errors=_link(errors, folder.out) if errors.is_file() else None,
    )
    path = folder.out / NAME
    write_text(path, page)
    return path


def shortened(message: str) -> str:
    """A message without the folders of absolute paths.

    >>> shortened("/data/my slides/a.svs: cannot be opened (see '/tmp/x/log')")
    "a.svs: cannot be opened (see 'log')"
    >>> shortened("0.25 µm/px and/or 1/2/3 patches/s")
    '0.25 µm/px and/or 1/2/3 patches/s'
    """
    return _FOLDERS.sub("", message)


def _parts(folder: Folder) -> list[Path]:
    return [folder.grids, *folder.others, folder.heatmaps]


def _rows(folder: Folder) -> Iterable[Row]:
    """A row per slide that has a heatmap, by id."""
    run = claims.read(folder.heatmaps / "run.json").get("slides")
    drawn, tiled = _names(folder.heatmaps), _names(folder.grids)

    def address(base: Path, name: str, present: set[str]) -> str | None:
        return _link(base / name, folder.out) if name in present else None

    for slide_id, facts in sorted(run.items() if isinstance(run, dict) else ()):
        facts = facts if isinstance(facts, dict) else {}
        patches, scores = facts.get("patches"), _scores(facts.get("slide_scores"))
        yield Row(
            slide_id,
            patches if isinstance(patches, int) else None,
            sorted(scores[:MOST_CLASSES], key=lambda score: score.class_name),
            len(scores[MOST_CLASSES:]),
            address(folder.heatmaps, f"{slide_id}.png", drawn),
            address(folder.heatmaps, f"{slide_id}.html", drawn),
            address(folder.grids, f"{slide_id}.png", tiled),
        )


def _scores(said: Any) -> list[Score]:
    """The classes of a slide's scores, the highest first."""
    known: Mapping[str, Any] = said if isinstance(said, dict) else {}
    values = {name: value for name, value in known.items() if _is_number(value)}
    found = [
        Score(name, value, values.get(f"area_mm2_{name}"))
        for name, value in ((n.removeprefix("top_mean_"), v) for n, v in values.items()
                            if n.startswith("top_mean_"))
    ]  # fmt: skip
    return sorted(found, key=lambda score: -score.top_mean)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _failures(table: Path) -> list[Failure]:
    """The rows of a stage's failures.csv; none where it is not there or somebody else's."""
    if first_line(table) != FAILURES_HEADER:
        return []
    try:
        rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    except (OSError, ValueError, csv.Error):
        return []
    return [
        Failure(row["slide_id"] or "", row["command"] or "", shortened(row["message"] or ""))
        for row in rows
    ]


def _names(folder: Path) -> set[str]:
    """The files of a folder, listed once: asking for each of 10,000 slides' would take seconds."""
    try:
        return {entry.name for entry in os.scandir(folder)}
    except OSError:
        return set()


def _link(path: Path, out: Path) -> str:
    """A path below the folder as an address in its page."""
    return quote(path.relative_to(out).as_posix())
