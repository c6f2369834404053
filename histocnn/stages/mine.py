"""`histocnn mine`: the most confident errors on training slides, as a list to train on again."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from histocnn.errors import MetricError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from histocnn.cohort.sheet import SlideEntry
    from histocnn.evaluation.judged import Judged

HEADER = ("name", "row", "x", "y", "path", "slide_id", "label", "called", "confidence")


def mine(
    scores: Path,
    out: Path,
    slides: Path | None = None,
    match: str = "",
    truth: str | None = None,
    per_slide: int = 50,
    most: int = 5000,
    min_confidence: float = 0.5,
    sheet: int = 96,
) -> int:
    """List the most confident errors on training slides: hard examples for the next training.

    Writes OUT (a CSV: score file, row, place or path, true class, called class, confidence; the
    most confident first) and beside it a contact sheet, OUT with .png. Look at it before training:
    an "error" is often a tumour that nobody annotated.

    Args:
        scores: Folder that predict, knn or probe wrote for the training slides.
        out: The CSV to write, such as hard.csv.
        slides: slides.csv: says which slides are in the training split, and where they are now.
        match: Scores' class = truth's class, where names differ: AC=Tumor,H=Normal.
        truth: Only patches of this true class, such as normal: hard negatives.
        per_slide: At most so many of one slide.
        most: At most so many in all.
        min_confidence: Least score of the wrong class.
        sheet: Patches on the contact sheet; 0 = none.

    Returns:
        0.
    """
    from histocnn.cohort.sheet import read_cohort
    from histocnn.evaluation.judged import judge, parse_match
    from histocnn.scores.scorefile import open_scores
    from histocnn.storage.atomic import write_text

    if per_slide < 1 or most < 1:
        raise UsageError("--per_slide and --most must be at least 1", "Leave them out.")
    entries = {row.slide_id: row for row in read_cohort(slides)} if slides else {}
    judged = judge(open_scores(scores), entries, parse_match(match))
    if truth is not None and truth not in judged.class_names:
        raise UsageError(
            f"--truth {truth}: there is no such class",
            f"There are {', '.join(judged.class_names)}.",
        )
    training = trained_on(judged, entries)
    rows = hardest(
        judged, training, truth=truth, per_slide=per_slide, most=most, min_confidence=min_confidence
    )
    write_text(out, to_csv(judged, rows))
    print(f"{out}: {len(rows):,} of {int(training.sum()):,} training patches")
    if sheet and len(rows):
        lost = draw_sheet(out.with_suffix(".png"), judged, entries, rows[:sheet].tolist())
        print(f"{out.with_suffix('.png')}: look before you train; {lost} could not be read")
    return 0


def trained_on(judged: Judged, entries: Mapping[str, SlideEntry]) -> NDArray[np.bool_]:
    """Which patches are of the training split: by slides.csv, else by what the scores say.

    Raises:
        MetricError: None is; mining others would train on validation or test patients.
    """
    import numpy as np

    from histocnn.scores.scorefile import SEEN

    split = np.array(
        [*(entries[s].split if s in entries else None for s in judged.slide_ids), None]
    )
    listed = split[judged.slide]
    by_scores = judged.seen == SEEN.index("train")
    found: NDArray[np.bool_] = np.where(listed == None, by_scores, listed == "train")  # noqa: E711
    if not found.any():
        raise MetricError(
            "none of these patches is of a training slide",
            "Score the training slides, or say which they are: --slides with a column split.",
        )
    return found


def hardest(
    judged: Judged,
    training: NDArray[np.bool_],
    *,
    truth: str | None = None,
    per_slide: int = 50,
    most: int = 5000,
    min_confidence: float = 0.5,
) -> NDArray[np.int64]:
    """Rows of the most confident errors, the most confident first, capped per slide."""
    import numpy as np

    rows = judged.errors()
    rows = rows[training[rows]]
    rows = rows[judged.scores[rows, judged.called[rows]] >= min_confidence]
    if truth is not None:
        rows = rows[judged.labels[rows] == judged.class_names.index(truth)]
    # Images of no known slide count per file of scores.
    slide = np.where(judged.slide >= 0, judged.slide, len(judged.slide_ids) + judged.file)[rows]
    order = np.argsort(slide, kind="stable")
    first = np.flatnonzero(np.diff(slide[order], prepend=-1))
    rank = np.empty(len(rows), np.int64)
    rank[order] = np.arange(len(rows)) - np.repeat(first, np.diff(first, append=len(rows)))
    return rows[rank < per_slide][:most]


def to_csv(judged: Judged, rows: NDArray[np.int64]) -> str:
    """The list as text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    places = {
        number: file.read("coords", "paths")
        for number, file in enumerate(judged.files)
        if number in judged.file[rows]
    }
    names, called = judged.class_names, judged.called
    for row in rows.tolist():
        file = judged.files[judged.file[row]]
        own, place = int(judged.row[row]), places[int(judged.file[row])]
        x, y = place["coords"][own].tolist() if "coords" in place else ("", "")
        slide = judged.slide_ids[judged.slide[row]] if judged.slide[row] >= 0 else ""
        writer.writerow(
            [
                file.path.stem, own, x, y, place["paths"][own] if "paths" in place else "", slide,
                names[judged.labels[row]], names[called[row]],
                f"{judged.scores[row, called[row]]:.4f}",
            ]
        )  # fmt: skip
    return text.getvalue()


def draw_sheet(
    path: Path, judged: Judged, entries: Mapping[str, SlideEntry], rows: Sequence[int]
) -> int:
    """Write the contact sheet; give the number of patches that could not be read."""
    from histocnn.evaluation.galleries import caption, pixels_of
    from histocnn.pictures.contact import contact_sheet

    names, called = judged.class_names, judged.called
    shown, lost = [], 0
    for row, pixels in pixels_of(judged, entries, rows):
        if isinstance(pixels, str):
            lost += 1
            continue
        slide, confidence = caption(judged, row)
        kind = f"{names[judged.labels[row]]} called {names[called[row]]} {confidence}"
        shown.append((pixels, (slide, kind)))
    if shown:
        contact_sheet(shown, path, title=f"Most confident errors on training slides ({len(shown)})")
    return lost
