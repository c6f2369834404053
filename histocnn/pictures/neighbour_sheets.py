"""Sheets of neighbours: a patch, and beside it the labelled patches that decided its score."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from histocnn.errors import HistocnnError
from histocnn.jobs.ranges import NonNegativeInt, check_ranges
from histocnn.patches.gridpixels import GridPixels
from histocnn.patches.patches import Patches, open_files
from histocnn.pictures.palette import class_colours
from histocnn.pictures.sheet import FOOTNOTE
from histocnn.reference.features import Features

SHOWN_NEIGHBOURS = 8
TILE_IN = 1.25  # side of a tile in the picture, inches
TILE_PX = 150  # of its picture; finer detail than this is not printed
DPI = 100


@dataclass(frozen=True)
class Shown:
    """Which patches the sheets show, and where their slides are.

    Attributes:
        count: So many most and least confident and most novel patches of each class.
        at: Patches at these points (x, y), level-0 px.
        slides: A slide, a folder or slides.csv, if the slides were moved.
    """

    count: NonNegativeInt = 0
    at: tuple[tuple[int, int], ...] = ()
    slides: Path | None = None

    def __post_init__(self) -> None:
        check_ranges(self)

    def draw(
        self, target: Path, rows: Features, examples: Features, arrays: Mapping[str, NDArray[Any]]
    ) -> list[str]:
        """Draw the sheet of the wanted patches beside a file of scores.

        Args:
            target: The score file; the sheet is `<its name>_neighbours.png`.
            rows: The query's rows.
            examples: The reference's rows.
            arrays: As for `draw_sheet`.

        Returns:
            A note for each point without a patch.
        """
        patches, *sources = open_files((*rows.files, *examples.files), self.slides)
        lines = choose(arrays["scores"], arrays["novelty"], examples.class_names, self.count)
        missed = list(self.at)
        if isinstance(patches.pixels, GridPixels):
            coords = patches.pixels.coords[rows.row]
            held, missed = at_points(coords, patches.pixels.footprint_l0, self.at)
            lines += held
        if lines:
            path = target.with_name(f"{target.stem}_neighbours.png")
            draw_sheet(path, lines, (rows, patches), (examples, sources), arrays)
        return [f"no scored patch at ({x}, {y})" for x, y in missed]


@dataclass(frozen=True)
class Line:
    """One line of a sheet: a row of the query, and why it is shown."""

    row: int
    reason: str


def choose(
    scores: NDArray[np.float32],
    novelty: NDArray[np.float32],
    class_names: Sequence[str],
    count: int,
) -> list[Line]:
    """Choose of each predicted class the most confident, least confident and most novel patches.

    Args:
        scores: float32 [N, C].
        novelty: float32 [N].
        class_names: The C classes.
        count: How many of each.
    """
    predicted, confidence = scores.argmax(1), scores.max(1)
    lines = []
    for index, name in enumerate(class_names):
        rows = np.flatnonzero(predicted == index)
        for reason, key in (
            ("most confident", -confidence),
            ("least confident", confidence),
            ("most novel", -novelty),
        ):
            chosen = rows[np.argsort(key[rows], kind="stable")[:count]]
            lines += [Line(int(row), f"{name}: {reason}") for row in chosen]
    return lines


def at_points(
    coords: NDArray[np.int64], footprint_l0: tuple[float, float], points: Sequence[tuple[int, int]]
) -> tuple[list[Line], list[tuple[int, int]]]:
    """The first patch that holds each point (x, y), level-0 px, and the points that none holds."""
    lines, missed = [], []
    for x, y in points:
        inside = ((coords <= (x, y)) & ((x, y) < coords + footprint_l0)).all(1)
        if inside.any():
            lines.append(Line(int(inside.argmax()), f"at ({x}, {y})"))
        else:
            missed.append((x, y))
    return lines, missed


def draw_sheet(
    path: Path,
    lines: Sequence[Line],
    query: tuple[Features, Patches],
    reference: tuple[Features, Sequence[Patches]],
    arrays: Mapping[str, NDArray[Any]],
) -> None:
    """Draw one line of tiles per patch: the patch, then its nearest neighbours.

    Where pixels cannot be had the tile says why, and the figures stay.

    Args:
        path: The PNG.
        lines: What to show.
        query: The query's rows, and where their pixels come from.
        reference: The reference's rows, and the pixels of each of its files.
        arrays: `scores`, `novelty`, `neighbours`, `neighbour_labels`, `distances` per query row.
    """
    rows, patches = query
    examples, sources = reference
    columns = 1 + min(SHOWN_NEIGHBOURS, arrays["distances"].shape[1])
    colours = class_colours(len(examples.class_names)) / 255
    height = 1.55 * TILE_IN * max(1, len(lines)) + 0.4
    picture = Figure(figsize=(columns * 1.08 * TILE_IN, height), dpi=DPI)
    FigureCanvasAgg(picture)
    axes = picture.subplots(max(1, len(lines)), columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for line, cells in zip(lines, axes, strict=False):
        i = line.row
        best = int(arrays["scores"][i].argmax())
        figures = f"{arrays['scores'][i, best]:.2f}  novelty {arrays['novelty'][i]:.0f}"
        _tile(cells[0], patches, int(rows.row[i]), f"{line.reason}\n{figures}", colours[best])
        for j, cell in enumerate(cells[1:]):
            file, row = (int(value) for value in arrays["neighbours"][i, j])
            label = int(arrays["neighbour_labels"][i, j])
            name = sources[file].slide_ids[row] or sources[file].name
            text = f"{examples.class_names[label]}  {arrays['distances'][i, j]:.3f}\n{_short(name)}"
            _tile(cell, sources[file], row, text, colours[label])
    picture.text(0.005, 0.1 / height, FOOTNOTE, fontsize=6, color="0.4")
    picture.subplots_adjust(0.01, 0.3 / height, 0.99, 1 - 0.35 / height, 0.06, 0.42)
    picture.savefig(path)


def _tile(axes: Axes, patches: Patches, row: int, text: str, colour: NDArray[np.float64]) -> None:
    """A patch in a frame of its class's colour, or why there is none."""
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(text, fontsize=6, pad=2)
    for side in axes.spines.values():
        side.set_color(tuple(colour))
        side.set_linewidth(2)
    try:
        pixels = patches.patch(row)
    except HistocnnError as error:
        axes.set_box_aspect(1)
        lines = "\n".join(textwrap.wrap(f"no picture: {error.message}", 26)[:7])
        axes.text(0.5, 0.5, lines, fontsize=4.5, ha="center", va="center")
        return
    scale = TILE_PX / max(pixels.shape[:2])
    shrunk = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    axes.imshow(shrunk if scale < 1 else pixels)


def _short(name: str, length: int = 20) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"
