"""Words on pictures, and pictures as small files: what needs no plotting library."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from histocnn.storage.atomic import replacing

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
Place: TypeAlias = tuple[slice, slice]
ALL: Place = (slice(None), slice(None))
GREY = (115, 115, 115)
INK = (20, 20, 20)
PAPER = np.full((1, 1, 3), 255, np.uint8)
SAMPLED_PX = 250_000  # pixels that a palette is chosen by
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
        face = font(round(words.letter_px))
        left, top, right, bottom = face.getbbox(words.text)
        y = max(0, math.floor(words.y + min(top, 0)) - 1)
        x = max(0, math.floor(words.x + min(left, 0)) - 1)
        below, beyond = math.ceil(words.y + bottom) + 2, math.ceil(words.x + right) + 2
        part = paper[y : max(y, below), x : max(x, beyond)]  # Pillow copies what it writes on
        if part.size:
            piece = Image.fromarray(part)
            at = words.x - x, words.y - y
            ImageDraw.Draw(piece).text(at, words.text, fill=words.colour, font=face)
            part[:] = np.asarray(piece)


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
    index = np.empty(paper.shape[:2], np.uint8)
    outer = _few([PAPER, *(paper[place] for place in around)], 64)
    white = _colours_of(outer, 64)
    white[int(np.asarray(outer)[0, 0])] = 255  # the paper, not the mean of it and of letters' edges
    outer.putpalette(white.ravel().tolist())
    for place in around:
        index[place] = _nearest(paper[place], outer)
    within = _few([paper[inner]], 192)
    index[inner] = _nearest(paper[inner], within) + 64
    colours = np.concatenate([_colours_of(outer, 64), _colours_of(within, 192)])
    with replacing(path) as temporary:
        temporary.write_bytes(_as_png(index, colours))


def _few(parts: Sequence[NDArray[np.uint8]], colours: int) -> Image.Image:
    """A sample of pixels [h, w, 3] as a picture of few colours, in a row."""
    step = max(1, round((sum(part.size for part in parts) / 3 / SAMPLED_PX) ** 0.5))
    some = [part[::step, ::step].reshape(1, -1, 3) for part in parts]
    row = Image.fromarray(np.concatenate(some, axis=1))
    return row.quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def _nearest(pixels: NDArray[np.uint8], few: Image.Image) -> NDArray[np.uint8]:
    """Which of few colours is nearest to each pixel [h, w, 3]: uint8 [h, w]."""
    if not pixels.size:
        return np.zeros(pixels.shape[:2], np.uint8)
    paper = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(paper.quantize(palette=few, dither=Image.Dither.NONE))


def _colours_of(few: Image.Image, colours: int) -> NDArray[np.uint8]:
    """A palette as so many colours [n, 3], black where it has fewer."""
    own = np.array(few.getpalette() or [], np.uint8).reshape(-1, 3)[:colours]
    return np.concatenate([own, np.zeros((colours - len(own), 3), np.uint8)])


def _as_png(index: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """A PNG of 256 colours [256, 3] and which of them each pixel [h, w] has.

    Compressed by libdeflate: Pillow's own encoder takes twice as long. Unfiltered, because numbers
    of colours are no quantities (PNG specification, 12.7).
    """
    height, width = index.shape
    lines = np.zeros((height, 1 + width), np.uint8)  # each begins with its filter, 0
    lines[:, 1:] = index
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
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
