"""A contact sheet: patches side by side, each with what is to be known of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from histocnn.pictures.lettering import GREY, Words, short, write_words
from histocnn.pictures.sheet import FOOTNOTE
from histocnn.storage.atomic import replacing

COLUMNS = 8
SIDE_PX = 170
_LETTER_PX = 10
_GAP_PX = 8
_LETTERS = 26  # above a patch


def contact_sheet(
    patches: Sequence[tuple[NDArray[np.uint8], Sequence[str]]], path: Path, *, title: str
) -> None:
    """Write the sheet as PNG, in all its colours.

    Args:
        patches: Pixels [h, w, 3] and the lines above them.
        path: The PNG; replaced if there.
        title: Above all.
    """
    columns = min(COLUMNS, len(patches))
    rows = -(-len(patches) // columns)
    said = round(1.3 * _LETTER_PX * max(len(lines) for _, lines in patches))
    step_x, step_y, top = SIDE_PX + _GAP_PX, SIDE_PX + said + _GAP_PX, 4 * _GAP_PX
    foot = top + rows * step_y
    words = [
        Words(_GAP_PX, _GAP_PX, title, 1.4 * _LETTER_PX),
        Words(_GAP_PX, foot, FOOTNOTE, _LETTER_PX, GREY),
    ]
    width = max(columns * step_x, *(math.ceil(each.width_px) + _GAP_PX for each in words))
    paper = np.full((foot + 3 * _GAP_PX, width + _GAP_PX, 3), 255, np.uint8)
    for number, (pixels, lines) in enumerate(patches):
        row, column = divmod(number, columns)
        x, y = _GAP_PX + column * step_x, top + row * step_y
        words += [
            Words(x, y + 1.3 * k * _LETTER_PX, short(line, _LETTERS), _LETTER_PX)
            for k, line in enumerate(lines)
        ]
        fitted = _fitted(pixels)
        paper[y + said : y + said + len(fitted), x : x + fitted.shape[1]] = fitted
    with replacing(path) as temporary:
        Image.fromarray(write_words(paper, words)).save(temporary, format="png")


def _fitted(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pixels with `SIDE_PX` as their longer side."""
    scale = SIDE_PX / max(pixels.shape[:2])
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=how), np.uint8)
