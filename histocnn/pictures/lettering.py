"""Words on pictures, and pictures as small files: what needs no plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from histocnn.storage.atomic import replacing

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
Place: TypeAlias = tuple[slice, slice]
ALL: Place = (slice(None), slice(None))
GREY = (115, 115, 115)
INK = (20, 20, 20)
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
    paper = Image.fromarray(picture)
    pen = ImageDraw.Draw(paper)
    for words in lines:
        face = font(round(words.letter_px))
        pen.text((words.x, words.y), words.text, fill=words.colour, font=face)
    return np.array(paper)


def short(name: str, letters: int = LETTERS) -> str:
    """A name that fits into its place, its middle left out if need be."""
    half = letters // 2
    return name if len(name) <= letters else f"{name[: half - 1]}…{name[-half:]}"


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
    around = paper.copy()
    around[inner] = 255
    outer, within = _quantised(around, 64), _quantised(paper[inner], 192)
    index, colours = np.array(outer), _palette(outer, 64)
    white = 3 * int(index[-1, -1])
    colours[white : white + 3] = [255] * 3  # the paper, not the mean of it and of letters' edges
    index[inner] = np.array(within) + 64
    few = Image.fromarray(index)
    few.putpalette([*colours, *_palette(within, 192)])
    with replacing(path) as temporary:
        few.save(temporary, format="png", compress_level=3)


def _quantised(pixels: NDArray[np.uint8], colours: int) -> Image.Image:
    paper = Image.fromarray(np.ascontiguousarray(pixels))
    return paper.quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def _palette(image: Image.Image, colours: int) -> list[int]:
    """Its colours, one channel after the other, as many as said."""
    own = image.getpalette() or []
    return [*own, *[0] * (3 * colours - len(own))][: 3 * colours]


@cache
def font(size_px: int) -> Font:
    """DejaVu Sans, which knows µ, × and most alphabets; matplotlib brings it along."""
    plotting = find_spec("matplotlib")
    if plotting is not None and plotting.origin is not None:
        face = Path(plotting.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if face.is_file():
            return ImageFont.truetype(face, size_px)
    return ImageFont.load_default(size_px)
