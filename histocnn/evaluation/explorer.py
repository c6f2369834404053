"""Every error with its place: a table, a file per slide for QuPath, and what the page lists."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import StoreError
from histocnn.evaluation.judged import Judged
from histocnn.evaluation.provenance import private
from histocnn.exports import qupath
from histocnn.exports.qupath import PatchError
from histocnn.pages.report import SlideErrors
from histocnn.scores.scorefile import ScoreFile
from histocnn.storage.atomic import write_text

TABLE, FOLDER = "errors.csv", "errors"
COLUMNS = ("slide_id", "x_l0", "y_l0", "image", "truth", "called", "probability")
CONFIDENT = 0.9  # of a wrong call
LISTED, SLIDES = 20, 30  # errors of a slide, and slides, in the page
MOST_DRAWN = 5_000  # of a slide, the most confident: QuPath shows more but slowly


def write_errors(out: Path, judged: Judged, *, show_ids: bool = False) -> list[Path]:
    """Write OUT/errors.csv, and OUT/errors/<slide>.geojson where patches lie on a slide.

    Args:
        out: The report's folder.
        judged: The patches.
        show_ids: Write absolute paths of images, too.

    Returns:
        The files.
    """
    folder = out / FOLDER
    for old in folder.glob("*.geojson"):
        old.unlink()
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    written = [out / TABLE]
    for file, rows in by_slide(judged):
        table.writerows(_table_rows(judged, file, rows, show_ids=show_ids))
        if (path := _write_qupath(folder, judged, file, rows)) is not None:
            written.append(path)
    write_text(out / TABLE, text.getvalue())
    return written


def by_slide(judged: Judged) -> Iterator[tuple[ScoreFile, NDArray[np.int64]]]:
    """Errors of each file that has any, the most confident first; files with most come first."""
    errors = judged.errors()
    file = judged.file[errors]
    counts = np.bincount(file, minlength=len(judged.files))
    rows = np.split(errors[np.argsort(file, kind="stable")], np.cumsum(counts)[:-1])
    for number in np.argsort(-counts, kind="stable"):
        if counts[number]:
            yield judged.files[number], rows[number]


def explored(judged: Judged, out: Path, heatmaps: Path | None = None) -> list[SlideErrors]:
    """What the page lists: of each slide the most confident errors, and where to look at them.

    Args:
        judged: The patches.
        out: The report's folder, in which `write_errors` wrote.
        heatmaps: Folder that heatmap wrote, with pages of the slides or without.
    """
    listed: list[SlideErrors] = []
    for file, rows in by_slide(judged):
        if len(listed) == SLIDES:
            break
        page = heatmaps / f"{file.slide_id}.html" if heatmaps else None
        listed.append(
            SlideErrors(
                slide=file.slide_id,
                judged=int((judged.judged & (judged.file == judged.file[rows[0]])).sum()),
                errors=len(rows),
                confident=int((_confidence(judged, rows) >= CONFIDENT).sum()),
                page=_link(page, out),
                qupath=_link(out / FOLDER / f"{file.path.stem}.geojson", out),
                rows=[row[1:] for row in _table_rows(judged, file, rows[:LISTED])],
            )
        )
    return listed


def _table_rows(
    judged: Judged, file: ScoreFile, rows: NDArray[np.int64], *, show_ids: bool = False
) -> Iterator[tuple[Any, ...]]:
    """The rows of `COLUMNS`."""
    place = file.read("coords" if file.is_slide else "paths")
    called, names = judged.called, judged.class_names
    for row, probability in zip(rows.tolist(), _confidence(judged, rows).tolist(), strict=True):
        own = int(judged.row[row])
        slide = judged.slide_ids[judged.slide[row]] if judged.slide[row] >= 0 else file.slide_id
        if "coords" in place:
            where: tuple[Any, ...] = (*place["coords"][own].tolist(), "")
        else:
            path = place.get("paths", [""] * len(file))[own]
            where = ("", "", path if show_ids else private(path))
        pair = names[judged.labels[row]], names[called[row]]
        yield slide, *where, *pair, round(probability, 4)


def _write_qupath(
    folder: Path, judged: Judged, file: ScoreFile, rows: NDArray[np.int64]
) -> Path | None:
    """Write a slide's errors as annotations; None where they cannot be placed."""
    try:
        file.boxes_l0(), file.size_l0
    except StoreError:  # images, and other tools' patches of unknown size
        return None
    called, names = judged.called, judged.class_names
    rows = rows[:MOST_DRAWN]
    errors = [
        PatchError(
            row=int(judged.row[row]),
            truth=names[judged.labels[row]],
            called=names[called[row]],
            confidence=float(confidence),
        )
        for row, confidence in zip(rows, _confidence(judged, rows), strict=True)
    ]
    path = folder / f"{file.path.stem}.geojson"
    folder.mkdir(parents=True, exist_ok=True)
    qupath.write_errors(path, file, errors)
    return path


def _confidence(judged: Judged, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.asarray(judged.scores[rows].max(axis=1))


def _link(path: Path | None, out: Path) -> str | None:
    """A file as the page can lead to it from its own folder; None if it is not there."""
    if path is None or not path.is_file():
        return None
    return quote(Path(os.path.relpath(path.resolve(), out.resolve())).as_posix())
