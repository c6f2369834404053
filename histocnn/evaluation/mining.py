"""Hard examples: the most confident errors on training slides, as a list to train on again."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.seen import SEEN
from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import MetricError, UsageError
from histocnn.evaluation.galleries import caption, pixels_of
from histocnn.evaluation.judged import Judged
from histocnn.exports.qupath import PatchError, write_errors
from histocnn.jobs.ownership import check_apart, first_line, refuse
from histocnn.jobs.ranges import NonNegativeInt, PositiveInt, Probability, check_ranges

HEADER = ("name", "row", "x", "y", "path", "slide_id", "label", "called", "confidence")


@dataclass(frozen=True)
class Mining:
    """Which errors are listed.

    Attributes:
        truth: Only patches of this true class; None takes all.
        per_slide: At most so many of one slide.
        most: At most so many in all.
        min_confidence: Least score of the wrong class.
        sheet: So many of them are shown on the contact sheet.
    """

    truth: str | None = None
    per_slide: PositiveInt = 50
    most: PositiveInt = 5000
    min_confidence: Probability = 0.5
    sheet: NonNegativeInt = 96

    def __post_init__(self) -> None:
        check_ranges(self)


def outlines(path: Path) -> Path:
    """The folder for the GeoJSON of each slide's errors, beside the list."""
    return path.with_name(f"{path.stem}_geojson")


def check_list(path: Path, scores: Path, *, with_sheet: bool, with_outlines: bool) -> None:
    """Refuse to write over a list, or what lies beside it, that `mine` did not make.

    Raises:
        UsageError: Another file lies there, or the scores lie in this folder.
    """
    check_apart(path.parent, [scores])
    if first_line(path) == ",".join(HEADER):
        return
    places = [path, *[path.with_suffix(".png")] * with_sheet, *[outlines(path)] * with_outlines]
    refuse([place for place in places if os.path.lexists(place)], "mine")


def trained_on(judged: Judged, entries: Mapping[str, SlideEntry]) -> NDArray[np.bool_]:
    """Which patches are of the training split: by slides.csv, else by what the scores say.

    Raises:
        MetricError: None is; mining others would train on validation or test patients.
    """
    split = np.array(
        [*(entries[s].split if s in entries else None for s in judged.slide_ids), None]
    )
    listed = split[judged.slide]
    by_scores = judged.seen == SEEN.index("train")
    training: NDArray[np.bool_] = np.where(listed == None, by_scores, listed == "train")  # noqa: E711
    if not training.any():
        raise MetricError(
            "none of these patches is of a training slide",
            "Score the training slides, or say which they are: --slides with a column split.",
        )
    return training


def hardest(
    judged: Judged, training: NDArray[np.bool_], mining: Mining | None = None
) -> NDArray[np.int64]:
    """Rows of the most confident errors, the most confident first, capped per slide.

    Args:
        judged: Patches with scores and truth.
        training: Which of them may be listed, bool [N].
        mining: Which errors.

    Raises:
        UsageError: There is no such class as `mining.truth`.
    """
    mining = mining or Mining()
    rows = judged.errors()
    rows = rows[training[rows]]
    rows = rows[judged.scores[rows, judged.called[rows]] >= mining.min_confidence]
    if mining.truth is not None:
        if mining.truth not in judged.class_names:
            raise UsageError(
                f"--truth {mining.truth}: there is no such class",
                f"There are {', '.join(judged.class_names)}.",
            )
        rows = rows[judged.labels[rows] == judged.class_names.index(mining.truth)]
    # Images of no known slide count per file of scores.
    slide = np.where(judged.slide >= 0, judged.slide, len(judged.slide_ids) + judged.file)[rows]
    order = np.argsort(slide, kind="stable")
    first = np.flatnonzero(np.diff(slide[order], prepend=-1))
    rank = np.empty(len(rows), np.int64)
    rank[order] = np.arange(len(rows)) - np.repeat(first, np.diff(first, append=len(rows)))
    return rows[rank < mining.per_slide][: mining.most]


def listed(judged: Judged, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The list, one dict of HEADER per row; x and y in level-0 px, None for images."""
    places = {
        number: file.read("coords", "paths")
        for number, file in enumerate(judged.files)
        if number in judged.file[rows]
    }
    names, called = judged.class_names, judged.called
    lines = []
    for row in rows.tolist():
        own, place = int(judged.row[row]), places[int(judged.file[row])]
        x, y = place["coords"][own].tolist() if "coords" in place else (None, None)
        slide = int(judged.slide[row])
        values = (
            judged.files[judged.file[row]].path.stem,
            own,
            x,
            y,
            place["paths"][own] if "paths" in place else "",
            judged.slide_ids[slide] if slide >= 0 else "",
            names[judged.labels[row]],
            names[called[row]],
            float(judged.scores[row, called[row]]),
        )
        lines.append(dict(zip(HEADER, values, strict=True)))
    return lines


def to_csv(lines: Sequence[Mapping[str, Any]]) -> str:
    """The list as text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER, lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({**line, "confidence": f"{line['confidence']:.4f}"})
    return text.getvalue()


def draw_sheet(
    path: Path, judged: Judged, entries: Mapping[str, SlideEntry], rows: Sequence[int]
) -> int:
    """Write the contact sheet, none if no patch can be read; returns how many cannot."""
    from histocnn.pictures.contact import contact_sheet

    names, called = judged.class_names, judged.called
    shown, lost = [], 0
    for row, pixels in pixels_of(judged, entries, rows):
        if isinstance(pixels, str):
            lost += 1
            continue
        slide, confidence = caption(judged, row)
        kind = f"{names[judged.labels[row]]} called {names[called[row]]} {confidence}"
        place = judged.files[judged.file[row]].read("coords")
        where = [f"x {x}, y {y}" for x, y in place["coords"][[judged.row[row]]]] if place else []
        shown.append((pixels, (slide, *where, kind)))
    if shown:
        contact_sheet(shown, path, title=f"Most confident errors on training slides ({len(shown)})")
    return lost


def write_outlines(folder: Path, judged: Judged, rows: NDArray[np.int64]) -> list[Path]:
    """Write for QuPath, per slide, an annotation around each listed patch; images have no place.

    Returns:
        The files, <slide_id>.geojson; those of an earlier list that are not in this one are gone.

    Raises:
        StoreError: They cannot be written.
    """
    written = []
    for number in np.unique(judged.file[rows]).tolist():
        file = judged.files[number]
        if file.is_slide:
            path = folder / f"{file.slide_id}.geojson"
            write_errors(path, file, _errors(judged, rows[judged.file[rows] == number]))
            written.append(path)
    for path in folder.glob("*.geojson"):
        if path not in written:
            path.unlink()
    return written


def _errors(judged: Judged, rows: NDArray[np.int64]) -> list[PatchError]:
    """What GeoJSON says of listed rows of one file."""
    names, called = judged.class_names, judged.called[rows]
    confidence = judged.scores[rows, called].tolist()
    own, labels = judged.row[rows].tolist(), judged.labels[rows].tolist()
    return [
        PatchError(row, names[label], names[call], sure)
        for row, label, call, sure in zip(own, labels, called.tolist(), confidence, strict=True)
    ]
