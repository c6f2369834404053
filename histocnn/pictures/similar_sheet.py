"""A sheet of what an archive holds like one patch, and the same as tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from histocnn.patches.patches import Patches
from histocnn.pictures.neighbour_sheets import Tile, pixels_of, place_of, write_small
from histocnn.pictures.palette import Colours, class_colours
from histocnn.reference.archive import Nearest
from histocnn.reference.features import Features
from histocnn.storage.atomic import write_text
from histocnn.storage.json import to_json

PER_LINE = 6  # found patches beside the query, and below
UNKNOWN = "unknown"
_NO_CLASS = np.array([150, 150, 150], np.uint8)


@dataclass(frozen=True)
class Found:
    """A patch of the archive: which, whose, what it is, how far.

    Attributes:
        rank: From 1.
        slide_id: "" unknown.
        patient_id: "" unknown, or not to be shown.
        label: Its class; "" unknown.
        distance: By the metric that was asked for.
        x_l0: Of its top left corner, level-0 px; None of an image.
        y_l0: Likewise.
        path: Of an image, below its folder; "" of a slide's patch.
        file: The archive's feature file.
        row: In it.
    """

    rank: int
    slide_id: str
    patient_id: str
    label: str
    distance: float
    x_l0: int | None
    y_l0: int | None
    path: str
    file: str
    row: int


def listed_found(
    archive: Features, sources: Sequence[Patches], found: Nearest, *, show_ids: bool
) -> list[Found]:
    """What was found, as people and programs read it.

    Args:
        archive: Its rows.
        sources: Its files, opened.
        found: The rows.
        show_ids: Name the patients.
    """
    result = []
    for rank, (i, distance) in enumerate(zip(*found[:2], strict=True), start=1):
        source, row = sources[archive.file[i]], int(archive.row[i])
        x, y = (None, None) if source.coords is None else source.coords[row].tolist()
        result.append(
            Found(
                rank=rank,
                slide_id=archive.slide_ids[i],
                patient_id=archive.patient_ids[i] if show_ids else "",
                label=archive.class_names[archive.labels[i]] if archive.labels[i] >= 0 else "",
                distance=round(float(distance), 6),
                x_l0=x,
                y_l0=y,
                path="" if source.paths is None else source.paths[row],
                file=archive.files[archive.file[i]].name,
                row=row,
            )
        )
    return result


def draw_found(
    path: Path,
    query: Patches,
    found: Sequence[Found],
    archive: tuple[Features, Sequence[Patches]],
    *,
    stamp: str = "",
    colours: Colours | None = None,
) -> None:
    """Draw the query in front and what was found behind it, nearest first.

    Args:
        path: The PNG.
        query: Its one patch.
        found: What the sheet shows.
        archive: Its rows, and its files, opened.
        stamp: What is to be said of all of it.
        colours: Chosen for classes.
    """
    rows, opened = archive
    sources = {file.name: source for file, source in zip(rows.files, opened, strict=True)}
    of_class = dict(
        zip(rows.class_names, class_colours(rows.class_names, colours), strict=True)
    )  # an archive without labels has no classes
    front = Tile(
        pixels_of(query, 0), np.zeros(3, np.uint8), ["query", query.name, place_of(query, 0)]
    )
    tiles = [
        Tile(
            pixels_of(sources[each.file], each.row),
            of_class.get(each.label, _NO_CLASS),
            [
                f"{each.rank}. {each.label or UNKNOWN}",
                f"distance {each.distance:.3f}",
                " · ".join(dict.fromkeys(filter(None, [each.slide_id, each.patient_id])))
                or each.file,
                place_of(sources[each.file], each.row),
            ],
        )
        for each in found
    ]
    blank = Tile("", np.full(3, 255, np.uint8), [])
    lines = [tiles[i : i + PER_LINE] for i in range(0, len(tiles), PER_LINE)] or [[]]
    cells = [[front if i == 0 else blank, *line] for i, line in enumerate(lines)]
    scale = query.patch_px, query.mpp
    write_small(path, cells, scale[0] * scale[1] if scale[0] and scale[1] else None, stamp)


def write_found(
    table: Path, document: Path, found: Sequence[Found], facts: Mapping[str, Any]
) -> None:
    """Write what was found as CSV, and with the facts of the query as JSON."""
    text = io.StringIO()
    names = list(Found.__dataclass_fields__)
    lines = csv.DictWriter(text, names, lineterminator="\n")
    lines.writeheader()
    lines.writerows(asdict(each) for each in found)
    write_text(table, text.getvalue())
    write_text(document, to_json({**facts, "found": [asdict(each) for each in found]}, indent=1))
