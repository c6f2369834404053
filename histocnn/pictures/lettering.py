"""Words on pictures, and pictures as small files: what needs no plotting library."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from histocnn.pictures.overlay import Pixels, lay
from histocnn.storage.atomic import replacing

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
Floats: TypeAlias = NDArray[np.float64]
Briefs: TypeAlias = NDArray[np.uint16]  # five bits of red, green and blue each
Place: TypeAlias = tuple[slice, slice]
ALL: Place = (slice(None), slice(None))
GREY = (115, 115, 115)
INK = (20, 20, 20)
WHITE = np.full((1, 3), 255, np.uint8)
_WHITE = 0x7FFF  # in brief
SAMPLED_PX = 60_000  # pixels that a palette is chosen by
LETTERS = 30  # of a class or slide name


@dataclass(frozen=True)
class Words:
    """A line of text: where its left upper corner is, how large its letters, which colour."""

    x: float
    y: float
    text: str
    letter_px: float
    colour: tuple[int, int, int] = INK

    @property
    def width_px(self) -> float:
        """How wide it is."""
        return float(font(round(self.letter_px)).getlength(self.text))


def write_words(picture: NDArray[np.uint8], lines: Sequence[Words]) -> NDArray[np.uint8]:
    """The picture [h, w, 3] with words on it, as an array of its own."""
    paper = picture.copy()
    add_words(paper, lines)
    return paper


def add_words(paper: NDArray[np.uint8], lines: Sequence[Words]) -> None:
    """Write words on the picture [h, w, 3], in place."""
    for words in lines:
        x, y = math.floor(words.x) - 1, math.floor(words.y) - 1
        ink, (left, top) = _ink(words.text, round(words.letter_px), words.x - x, words.y - y)
        x, y = x + left, y + top
        ink = ink[max(0, -y) :, max(0, -x) :]
        part = paper[max(0, y) :, max(0, x) :][: ink.shape[0], : ink.shape[1]]
        if part.size:
            ink = ink[: part.shape[0], : part.shape[1]]
            part[:] = lay(part, np.full_like(part, words.colour), ink)


@lru_cache(maxsize=64)  # most words of a slide's pictures are the same
def _ink(text: str, size_px: int, x: float, y: float) -> tuple[Pixels, tuple[int, int]]:
    """How opaque a line of text at (x, y) makes pixels, [h, w], and where the first of them is."""
    face = font(size_px)
    left, top, right, bottom = face.getbbox(text)
    first = math.floor(min(x + left, 0)), math.floor(min(y + top, 0))
    size = math.ceil(x + right) + 2 - first[0], math.ceil(y + bottom) + 2 - first[1]
    piece = Image.new("L", size)
    ImageDraw.Draw(piece).text((x - first[0], y - first[1]), text, fill=255, font=face)
    return np.asarray(piece), first


def short(name: str, letters: int = LETTERS) -> str:
    """A name that fits into its place, its middle left out if need be."""
    half = letters // 2
    return name if len(name) <= letters else f"{name[: half - 1]}…{name[-half:]}"


def fitted(text: str, letter_px: float, room_px: float) -> str:
    """The text, its middle left out until it is no wider than there is room."""
    letters = len(text)
    while letters > 3 and Words(0, 0, short(text, letters), letter_px).width_px > room_px:
        letters -= 1
    return short(text, letters)


def write_png(paper: NDArray[np.uint8], path: Path, inner: Place = ALL) -> None:
    """Write a picture [h, w, 3] as a PNG of 256 colours, whole or not at all.

    Stained tissue has few hues: on slides the mean error is 2 of 255, and the file is a quarter as
    large, and sooner written, than in full colour.

    Args:
        paper: What is written.
        path: The PNG.
        inner: Rows and columns of a slide's picture in it, which has three quarters of the colours
            for itself, so that the paper around stays white.

    Raises:
        StoreError: It cannot be written.
    """
    rows, columns = (part.indices(side) for part, side in zip(inner, paper.shape, strict=False))
    around = [
        (slice(0, rows[0]), slice(None)),
        (slice(rows[1], None), slice(None)),
        (slice(rows[0], rows[1]), slice(0, columns[0])),
        (slice(rows[0], rows[1]), slice(columns[1], None)),
    ]
    bits = np.asarray(cv2.cvtColor(paper, cv2.COLOR_RGB2BGR555), np.uint8)
    brief = bits.view(np.uint16)[..., 0]
    lines = np.zeros((len(paper), 1 + paper.shape[1]), np.uint8)  # each begins with its filter, 0
    colours = np.zeros((256, 3), np.uint8)
    for places, first, end in ((around, 0, 64), ([inner], 64, 256)):
        found, often, looks = (_sample if first else _drawn)(paper, brief, places)
        how = Image.Quantize.FASTOCTREE if first else Image.Quantize.MEDIANCUT  # exact, of a few
        few = Image.fromarray(found[None]).quantize(end - first, how, dither=Image.Dither.NONE)
        own = np.array(few.getpalette(), np.uint8).reshape(-1, 3)[: end - first]
        if first == 0:  # the paper is white, not the mean of it and of letters' edges
            own[own.sum(axis=1, dtype=int).argmax()] = 255
        colours[first : first + len(own)] = own
        number = first + _nearest(own, often, looks)
        for place in places:
            cv2.LUT(brief[place], number, lines[:, 1:][place])
    with replacing(path) as temporary:
        temporary.write_bytes(_as_png(lines, colours))


def _drawn(paper: Pixels, brief: Briefs, places: Sequence[Place]) -> tuple[Pixels, Briefs, Floats]:
    """The colours on white paper [n, 3], each once however little of it there is; as `_sample`."""
    some, numbers = [WHITE], [np.array([_WHITE], np.uint16)]
    for place in places:
        part = brief[place][::2, ::2]
        some.append(paper[place][::2, ::2][part != _WHITE])
        numbers.append(part[part != _WHITE])
    often, first = np.unique(np.concatenate(numbers), return_index=True)
    found = np.concatenate(some)[first]
    return found, often, found.astype(np.float64)


def _sample(paper: Pixels, brief: Briefs, places: Sequence[Place]) -> tuple[Pixels, Briefs, Floats]:
    """Some of the pixels, [n, 3]; their briefs, each once; what these stand for."""
    (place,) = places
    step = max(1, round((brief[place].size / SAMPLED_PX) ** 0.5))
    often = np.flatnonzero(np.bincount(brief[place][::step, ::step].ravel()))
    found = paper[place][::step, ::step].reshape(-1, 3)
    return found, often.astype(np.uint16), _middle(often, 5)


def _nearest(few: Pixels, often: Briefs, looks: Floats) -> Pixels:
    """Which of few colours [n, 3] is nearest to those with a brief: uint8 [1, 65536].

    Args:
        few: The colours.
        often: The briefs that matter, [N]; others need not be exact.
        looks: What these stand for, [N, 3].
    """

    def nearest(rgb: Floats) -> Pixels:
        plain = few.astype(np.float32)
        beside = np.square(plain).sum(axis=1) / 2 - rgb.astype(np.float32) @ plain.T
        return np.asarray(beside.argmin(axis=1), np.uint8)

    rough = nearest(_middle(np.arange(1 << 9), 3)).reshape(8, 8, 8)
    table = rough.repeat(4, 0).repeat(4, 1).repeat(4, 2).ravel()
    table[often] = nearest(looks)
    return np.tile(table, 2)[None]  # a brief has no sixteenth bit


def _middle(number: NDArray[np.integer], bits: int) -> Floats:
    """The middle [N, 3] of the colours whose channels begin with these bits, in one number [N]."""
    levels = (number[:, None] >> np.array([2 * bits, bits, 0])) & ((1 << bits) - 1)
    return np.asarray((levels + 0.5) * (256 >> bits) - 0.5)


def _as_png(lines: Pixels, colours: Pixels) -> bytes:
    """A PNG of 256 colours [256, 3] and which of them each pixel has: [h, 1 + w], first a filter.

    Compressed by libdeflate: Pillow's own encoder takes twice as long. Unfiltered, because numbers
    of colours are no quantities (PNG specification, 12.7).
    """
    height, width = lines.shape
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width - 1, height, 8, 3, 0, 0, 0),
        b"PLTE": colours.tobytes(),
        b"IDAT": imagecodecs.deflate_encode(lines.tobytes(), level=1),
        b"IEND": b"",
    }
    written = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    ]
    return b"".join([b"\x89PNG\r\n\x1a\n", *written])


@cache
def font(size_px: int) -> Font:
    """DejaVu Sans, which knows µ, × and most alphabets; matplotlib brings it along."""
    plotting = find_spec("matplotlib")
    if plotting is not None and plotting.origin is not None:
        face = Path(plotting.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if face.is_file():
            return ImageFont.truetype(face, size_px)
    return ImageFont.load_default(size_px)
