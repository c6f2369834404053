"""Patches to look at: the most confident errors of each kind, read again from slide or image."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import HistocnnError
from histocnn.evaluation.judged import Judged
from histocnn.pages.embedded import Picture, picture_file, thumbnail
from histocnn.pages.report import Errors
from histocnn.patches.patches import FilePatches

HEATMAPS = 30  # in one report
LOST = (
    "their slide or images are not there, or are not those that were scored; --slides names them."
)


class Kind(NamedTuple):
    """Errors of one kind: true class, called class, how many errors, the worst of them."""

    truth: str
    called: str
    errors: int
    rows: list[int]


def worst(judged: Judged, *, kinds: int = 12, each: int = 8, per_slide: int = 2) -> list[Kind]:
    """The most confident errors of the most frequent kinds, few from any one slide."""
    ordered, called = judged.errors(), judged.called
    pairs = list(zip(judged.labels[ordered].tolist(), called[ordered].tolist(), strict=True))
    chosen: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    taken: Counter[tuple[tuple[int, int], int, int]] = Counter()
    for row, pair in zip(ordered.tolist(), pairs, strict=True):
        slide = (pair, int(judged.slide[row]), int(judged.file[row]))
        alone = judged.slide[row] < 0  # images of no known slide are not capped
        if len(chosen[pair]) < each and (alone or taken[slide] < per_slide):
            chosen[pair].append(row)
            taken[slide] += 1
    names = judged.class_names
    return [
        Kind(names[truth], names[call], count, chosen[truth, call])
        for (truth, call), count in Counter(pairs).most_common(kinds)
    ]


def pixels_of(
    judged: Judged, entries: Mapping[str, SlideEntry], rows: Sequence[int]
) -> Iterator[tuple[int, NDArray[np.uint8] | str]]:
    """Read patches again: (row, pixels [H, W, 3]), or why they cannot be read."""
    sources: dict[int, FilePatches] = {}
    for row in rows:
        number = int(judged.file[row])
        file = judged.files[number]
        if number not in sources:
            sources[number] = FilePatches(file.path, entries.get(file.slide_id))
        try:
            yield row, sources[number].patch(int(judged.row[row]))
        except HistocnnError as error:
            yield row, str(error)


def worst_pictures(judged: Judged, entries: Mapping[str, SlideEntry]) -> list[Errors]:
    """Collect for the report each kind of error, its patches, and why some cannot be shown."""
    errors = []
    for kind in worst(judged):
        pictures, lost = [], 0
        for row, pixels in pixels_of(judged, entries, kind.rows):
            if isinstance(pixels, str):
                lost += 1  # the message names a path, which pages do not show
            else:
                pictures.append(thumbnail(pixels, *caption(judged, row)))
        title = f"{kind.truth} called {kind.called}: {kind.errors:,}"
        said = f"{lost} of {len(kind.rows)} patches cannot be shown: {LOST}" if lost else ""
        errors.append(Errors(title, pictures, said))
    return errors


def caption(judged: Judged, row: int) -> tuple[str, str]:
    """Where a patch is from, and how sure the wrong call was."""
    slide = judged.slide[row]
    where = judged.slide_ids[slide] if slide >= 0 else judged.files[judged.file[row]].slide_id
    return where, f"{judged.scores[row].max():.2f}"


def heatmap_pictures(folder: Path, judged: Judged) -> list[Picture]:
    """Collect for the report each slide's heatmap as `heatmap` wrote it, made small."""
    pictures = []
    for file in judged.files[:HEATMAPS]:
        path = folder / f"{file.slide_id}.png"
        picture = picture_file(path, file.slide_id) if path.is_file() else None
        if picture is not None:
            pictures.append(picture)
    return pictures
