"""A picture of a slide in its frame: title, scale bar, and beside it what its colours mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.pictures.lettering import GREY, Place, Words, add_words, write_png
from histocnn.pictures.palette import map_table
from histocnn.pictures.strokes import dashes, hatch, stipple

FOOTNOTE = "histocnn · research use only"
_FRAME = (190, 190, 190)
_BAR_LETTERS = 18  # length of a colour bar


@dataclass(frozen=True)
class Entry:
    """One line of a legend: its name, its colour (RGB, 0 to 255) and how it is drawn."""

    name: str
    colour: Sequence[int]
    drawn: Literal["area", "square", "line", "dashed", "dotted", "hatched", "stippled"] = "area"


@dataclass(frozen=True, eq=False)
class ColourBar:
    """A colour map by name and what it shows.

    Attributes:
        opacity: How opaque each of its 256 steps lay.
        ends: The values of its first and last step.
        marks: Values between the ends that are marked on it.
    """

    map_name: str
    meaning: str
    opacity: NDArray[np.float32]
    ends: tuple[float, float] = (0, 1)
    marks: tuple[float, ...] = ()


Key: TypeAlias = Sequence[Entry | ColourBar]


def scale_bar_um(width_um: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50 … µm that is at most a third of the picture's width."""
    longest = width_um / 3
    decade = 10.0 ** math.floor(math.log10(longest))
    return max(step * decade for step in (1, 2, 5) if step * decade <= longest * (1 + 1e-9))


def length_text(length_um: float) -> str:
    """A length as people write it: 200 µm, 2 mm."""
    return f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"


def write_sheet(
    picture: NDArray[np.uint8],
    path: Path,
    *,
    title: str,
    width_um: float,
    key: Key = (),
    note: str = "",
) -> None:
    """Write the sheet of a picture as a PNG; as `sheet`.

    Raises:
        StoreError: It cannot be written.
    """
    paper, place = sheet(picture, title=title, width_um=width_um, key=key, note=note)
    write_png(paper, path, place)


def sheet(
    picture: NDArray[np.uint8], *, title: str, width_um: float, key: Key = (), note: str = ""
) -> tuple[NDArray[np.uint8], Place]:
    """A picture [h, w, 3], pixel for pixel, with its title, scale bar and key.

    The sheet is as large as the picture asks; letters grow with it.

    Args:
        picture: What is shown; its width is the slide's.
        title: Above the picture.
        width_um: The physical width of the picture.
        key: Legend and colour bars, from top to bottom at the picture's right.
        note: What the picture rests on, in small letters below it.

    Returns:
        The sheet [h, w, 3], and in which rows and columns of it the picture lies.
    """
    height, width = picture.shape[:2]
    letter = min(max(max(height, width) / 75, 12), 26)
    margin, top = round(letter), round(3 * letter)
    foot = top + height
    length_um = scale_bar_um(width_um)
    footnote = f"{FOOTNOTE} · {note}" if note else FOOTNOTE
    words = [
        Words(margin, margin * 0.9, title, letter * 1.2),
        Words(margin, foot + letter * 1.3, length_text(length_um), letter),
        Words(margin, foot + letter * 2.9, footnote, letter * 0.75, GREY),
    ]
    right = margin + width + margin
    parts, lines, low = _key(key, (right, top), letter, height)
    lines += words
    size = (
        max(foot + round(letter * 4.4), low + margin),
        math.ceil(max([right, *(each.x + each.width_px + margin for each in lines)])),
    )
    paper = np.empty((*size, 3), np.uint8)
    for part in (
        paper[:top],
        paper[foot:],
        paper[top:foot, :margin],
        paper[top:foot, right - margin :],
    ):
        part[:] = 255
    framed = paper[top - 1 : foot + 1, margin - 1 : margin + width + 1]
    framed[[0, -1]] = framed[:, [0, -1]] = _FRAME
    place = slice(top, foot), slice(margin, margin + width)
    paper[place] = picture
    bar = slice(foot + round(letter * 0.7), foot + round(letter * 1.05))
    paper[bar, margin : margin + round(length_um / width_um * width)] = 0
    for (x, y), pixels in parts:
        paper[y : y + len(pixels), x : x + pixels.shape[1]] = pixels
    add_words(paper, lines)
    return paper, place


Placed: TypeAlias = tuple[tuple[int, int], NDArray[np.uint8]]


def _key(
    key: Key, place: tuple[int, int], letter: float, height: int
) -> tuple[list[Placed], list[Words], int]:
    """The key from `place` (x, y) downwards: pixels with their places, words, where it ends."""
    (x, y), parts, words = place, list[Placed](), list[Words]()
    if not key:
        return parts, words, y
    for item in key:
        if isinstance(item, ColourBar):
            length = round(min(height, _BAR_LETTERS * letter))
            parts.append(((x, y + round(1.8 * letter)), _bar(item, length, letter)))
            words += _bar_words(item, (x, y), length, letter)
            y += round(length + 3.2 * letter)
        else:
            sample = _sample(item, round(1.6 * letter), round(letter))
            parts.append(((x, y + round(0.2 * letter)), sample))
            words.append(Words(x + 2.1 * letter, y, item.name, letter))
            y += round(1.6 * letter)
    return parts, words, y


def _bar(bar: ColourBar, length: int, letter: float) -> NDArray[np.uint8]:
    """The colours over white, the highest value above, as opaque as they lay."""
    step = np.rint(255 * (1 - (np.arange(length) + 0.5) / length)).astype(np.intp)
    alpha = bar.opacity[step, None]
    column = np.rint(255 * (1 - alpha) + map_table(bar.map_name)[step] * alpha).astype(np.uint8)
    pixels = np.repeat(column[:, None], round(letter), axis=1)
    low, high = bar.ends
    for mark in bar.marks:
        at = round((1 - (mark - low) / (high - low)) * length)
        pixels[max(at - 1, 0) : at + 1] = 0
    framed = np.full((length + 2, pixels.shape[1] + 2, 3), _FRAME, np.uint8)
    framed[1:-1, 1:-1] = pixels
    return framed


def _bar_words(bar: ColourBar, place: tuple[int, int], length: int, letter: float) -> list[Words]:
    """What it shows above it, and values beside it."""
    (x, y), (low, high) = place, bar.ends
    top = y + 1.8 * letter
    words = [Words(x, y, bar.meaning, letter)]
    for share in (0, 0.25, 0.5, 0.75, 1):
        at = top + (1 - share) * length - 0.6 * letter
        words.append(Words(x + 1.5 * letter, at, f"{low + share * (high - low):g}", letter * 0.9))
    return words


def _sample(entry: Entry, width: int, height: int) -> NDArray[np.uint8]:
    """How something looks in the picture, as small pixels."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    ink = tuple(int(channel) for channel in entry.colour)
    if entry.drawn in ("line", "dashed", "dotted"):
        thick = max(2, height // 7)
        middle = np.array([[0.0, height // 2], [width, height // 2]])
        pieces = [np.rint(piece).astype(np.int32) for piece in dashes(middle, entry.drawn, thick)]
        cv2.polylines(pixels, pieces, False, ink, thick)
        return pixels
    if entry.drawn == "area":
        pixels[:] = np.rint(127.5 + np.asarray(entry.colour) / 2)
    if entry.drawn == "hatched":
        pixels[hatch(pixels.shape[:2])] = entry.colour
    if entry.drawn == "stippled":
        pixels[stipple(pixels.shape[:2])] = entry.colour
    cv2.rectangle(pixels, (0, 0), (width - 1, height - 1), ink)
    return pixels
