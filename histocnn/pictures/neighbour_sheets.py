"""Sheets of neighbours: a patch, and beside it the labelled patches that decided its score."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.seen import worst
from histocnn.errors import HistocnnError
from histocnn.jobs.ranges import NonNegativeInt, check_ranges
from histocnn.patches.gridpixels import GridPixels
from histocnn.patches.patches import Patches, open_files
from histocnn.pictures.lettering import GREY, Words, fitted, write_png, write_words
from histocnn.pictures.palette import Colours, class_colours
from histocnn.pictures.sheet import FOOTNOTE, length_text, scale_bar_um
from histocnn.reference.apart import Exclude
from histocnn.reference.features import Features
from histocnn.scores.query import seen

SHOWN_NEIGHBOURS = 8
TILE_PX = 150  # side of a tile
LARGEST = 2_000_000  # bytes of a sheet
_SMALLEST_PX = 48
Places: TypeAlias = tuple[NDArray[np.int64], tuple[float, float]]
_FRAME_PX = 3


@dataclass(frozen=True)
class Shown:
    """Which patches the sheets show, and where their slides are.

    Attributes:
        count: So many most and least confident and most novel patches of each class.
        at: Patches at these points (x, y), level-0 px.
        slides: A slide, a folder or slides.csv, if the slides were moved.
        exclude: What of the reference a patch is not compared with.
        colours: Chosen for classes.
    """

    count: NonNegativeInt = 0
    at: tuple[tuple[int, int], ...] = ()
    slides: Path | None = None
    exclude: Exclude = "patient"
    colours: Colours = field(default_factory=dict)

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
        places, missed, held = None, list(self.at), list[Line]()
        if isinstance(patches.pixels, GridPixels):
            places = patches.pixels.coords[rows.row], patches.pixels.footprint_l0
            held, missed = at_points(*places, self.at)
        scores, novelty = arrays["scores"], arrays["novelty"]
        lines = choose(scores, novelty, examples.class_names, self.count, places) + held
        if lines:
            path = target.with_name(f"{target.stem}_neighbours.png")
            stamp = worst(seen(examples, rows, self.exclude)).stamp
            draw_sheet(
                path, lines, (rows, patches), (examples, sources), arrays,
                colours=self.colours, stamp=stamp,
            )  # fmt: skip
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
    places: Places | None = None,
) -> list[Line]:
    """Choose of each predicted class the most confident, least confident and most novel patches.

    Of those that would show much the same, windows less than a footprint apart, the first.

    Args:
        scores: float32 [N, C].
        novelty: float32 [N].
        class_names: The C classes.
        count: How many of each.
        places: Where patches lie on a slide: int64 [N, 2], (x, y) of their top left corners, and
            their footprint, level-0 px.
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
            ordered = rows[np.argsort(key[rows], kind="stable")]
            lines += [Line(row, f"{name}: {reason}") for row in _apart(ordered, count, places)]
    return lines


def _apart(ordered: NDArray[np.intp], count: int, places: Places | None) -> list[int]:
    """The first `count` rows, each at least a footprint from those before it."""
    chosen: list[int] = []
    while len(ordered) and len(chosen) < count:
        first, ordered = int(ordered[0]), ordered[1:]
        chosen.append(first)
        if places is not None:  # whole pixels, so that neighbours may lie up to one nearer
            away = np.abs(places[0][ordered] - places[0][first]) > np.array(places[1]) - 1
            ordered = ordered[away.any(axis=1)]
    return chosen


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
    *,
    colours: Colours | None = None,
    stamp: str = "",
) -> None:
    """Draw one line of tiles per patch: the patch, then its nearest neighbours.

    Where pixels cannot be had the tile says why, and the figures stay. Tiles are as large as a
    file of `LARGEST` bytes allows.

    Args:
        path: The PNG.
        lines: What to show.
        query: The query's rows, and where their pixels come from.
        reference: The reference's rows, and the pixels of each of its files.
        arrays: `scores`, `novelty`, `neighbours`, `neighbour_labels`, `distances` per query row.
        colours: Chosen for classes.
        stamp: What is to be said of all of it.
    """
    cells = [_line(line, query, reference, arrays, colours) for line in lines]
    scale = query[0].scales[0]
    um = scale[0] * scale[1] if scale[0] and scale[1] else None
    write_small(path, cells, um, stamp)


@dataclass(frozen=True, eq=False)
class Tile:
    """A patch, or why there is none, in a frame of its class's colour, and the words below it."""

    pixels: NDArray[np.uint8] | str
    colour: NDArray[np.uint8]
    words: Sequence[str]


def write_small(path: Path, cells: Sequence[Sequence[Tile]], um: float | None, stamp: str) -> None:
    """Write tiles of `um` µm with as many pixels as `LARGEST` bytes allow."""
    side = TILE_PX
    while True:
        write_png(_sheet(cells, side, um, stamp), path)
        if path.stat().st_size <= LARGEST or side <= _SMALLEST_PX:
            return
        side = max(_SMALLEST_PX, round(side * 0.8))


def _line(
    line: Line,
    query: tuple[Features, Patches],
    reference: tuple[Features, Sequence[Patches]],
    arrays: Mapping[str, NDArray[Any]],
    chosen: Colours | None,
) -> list[Tile]:
    (rows, patches), (examples, sources), i = query, reference, line.row
    colours = class_colours(examples.class_names, chosen)
    best = int(arrays["scores"][i].argmax())
    score, novelty = float(arrays["scores"][i, best]), float(arrays["novelty"][i])
    truth = rows.class_names[rows.labels[i]] if rows.labels[i] >= 0 else "unknown"
    words = [
        line.reason,
        f"{score:.2f}, novelty {novelty:.0f}",
        f"truth: {truth}",
        place_of(patches, int(rows.row[i])),
    ]
    tiles = [Tile(pixels_of(patches, int(rows.row[i])), colours[best], words)]
    for j in range(min(SHOWN_NEIGHBOURS, arrays["distances"].shape[1])):
        file, row = (int(value) for value in arrays["neighbours"][i, j])
        label = int(arrays["neighbour_labels"][i, j])
        words = [
            examples.class_names[label],
            f"distance {arrays['distances'][i, j]:.3f}",
            sources[file].slide_ids[row] or sources[file].name,
            place_of(sources[file], row),
        ]
        tiles.append(Tile(pixels_of(sources[file], row), colours[label], words))
    return tiles


def place_of(patches: Patches, row: int) -> str:
    """Where a patch lies: level-0 px, or its file."""
    if patches.coords is not None:
        x, y = patches.coords[row].tolist()
        return f"x {x}, y {y}"
    return Path(patches.datasets["paths"][row]).name


def pixels_of(patches: Patches, row: int) -> NDArray[np.uint8] | str:
    """A patch's pixels, no more than a tile shows; or why there are none."""
    try:
        pixels = patches.patch(row)
    except HistocnnError as error:
        return f"no picture: {error.message}"
    scale = TILE_PX / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    shrunk = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.uint8)


def _sheet(
    cells: Sequence[Sequence[Tile]], side: int, um: float | None, stamp: str
) -> NDArray[np.uint8]:
    """The tiles on white paper, a scale bar and what is to be said below them."""
    letter = max(8, side / 13)
    step_x, step_y = side + round(letter), round(side + 6.2 * letter)
    columns, count = max([len(line) for line in cells], default=1), max(1, len(cells))
    margin = round(letter)
    foot = margin + count * step_y + round(0.5 * letter)
    paper = np.full((foot + 3 * margin, margin + columns * step_x, 3), 255, np.uint8)
    words = []
    for number, line in enumerate(cells):
        for column, tile in enumerate(line):
            place = margin + column * step_x, margin + number * step_y
            words += _put(paper, tile, place, side, letter)
    if um is not None:
        bar_um = scale_bar_um(1.5 * um)  # half a tile at most
        bar = slice(foot, foot + round(letter * 0.35))
        paper[bar, margin : margin + round(bar_um / um * side)] = 0
        words.append(Words(margin, foot + letter * 0.5, length_text(bar_um), letter))
    said = " · ".join(filter(None, [FOOTNOTE, stamp]))
    words.append(Words(margin + (side if um else 0), foot + letter * 0.5, said, letter, GREY))
    return write_words(paper, words)


def _put(
    paper: NDArray[np.uint8], tile: Tile, place: tuple[int, int], side: int, letter: float
) -> list[Words]:
    """Put a tile's pixels at `place` (x, y) on the paper; returns the words on and below it."""
    x, y = place
    paper[y : y + side, x : x + side] = tile.colour
    inner = paper[y + _FRAME_PX : y + side - _FRAME_PX, x + _FRAME_PX : x + side - _FRAME_PX]
    lines = [(y + side + (0.3 + 1.25 * k) * letter, text) for k, text in enumerate(tile.words)]
    if isinstance(tile.pixels, str):
        inner[:] = 255
        reason = textwrap.wrap(tile.pixels, 20)[:8]
        lines += [(y + 6 + 1.2 * k * letter, text) for k, text in enumerate(reason)]
    else:
        inner[:] = cv2.resize(tile.pixels, inner.shape[1::-1], interpolation=cv2.INTER_AREA)
    return [Words(x + (_FRAME_PX if top < y + side else 0), top, fitted(text, letter, side), letter)
            for top, text in lines]  # fmt: skip
