"""Many small maps side by side: channels of a layer on one colour scale, filters, fields."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.pictures.lettering import Words, write_words
from histocnn.pictures.palette import shade

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
WIDTH_PX = 960
GAP_PX = 2
LARGEST_PX, LEAST_PX = 160, 8  # side of a cell
BAR_PX, LETTER_PX = 12, 12
DEAD = (225, 225, 225)
MARK = (213, 94, 0)
FIELD_PX = 248  # four in a row of a page
THEORY, EFFECTIVE = (255, 255, 255), (86, 180, 233)


def mosaic(
    channels: Floats,
    low: float,
    high: float,
    *,
    dead: NDArray[np.bool_] | None = None,
    width_px: int = WIDTH_PX,
) -> Pixels:
    """Every channel of a layer, on one scale, with its key below.

    Args:
        channels: float32 [F, h, w].
        low: The value of the scale's dark end.
        high: Of its light end; what is above looks the same.
        dead: bool [F], channels to cross out.
        width_px: Of the picture, about.

    Returns:
        uint8 [H, W, 3].
    """
    extent = high - low if high > low else 1.0
    painted = shade((channels - low) / extent)
    side = _side(len(channels), width_px)
    cells = [_fitted(cell, side) for cell in painted]
    for number in np.flatnonzero(dead) if dead is not None else ():
        cells[number] = _crossed(side)
    above = bool((channels > high).any())
    return _with_key(tiles(cells, _columns(len(cells))), low, high, "≥ " * above)


def tiles(cells: Sequence[Pixels], columns: int, gap_px: int = GAP_PX) -> Pixels:
    """Pictures of one size in rows, white between them."""
    height, width = cells[0].shape[:2]
    rows = -(-len(cells) // columns)
    shape = (rows * (height + gap_px) - gap_px, columns * (width + gap_px) - gap_px, 3)
    paper = np.full(shape, 255, np.uint8)
    for number, cell in enumerate(cells):
        y, x = (
            n * (size + gap_px)
            for n, size in zip(divmod(number, columns), (height, width), strict=True)
        )
        paper[y : y + height, x : x + width] = cell
    return paper


def filters_picture(weights: Floats, width_px: int = WIDTH_PX) -> Pixels:
    """Filters [F, C, h, w] as pictures, each on its own scale: grey is 0.

    Of three channels in colour, of one in grey, of others the mean over channels.
    """
    largest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    scaled = 0.5 + 0.5 * weights / np.where(largest > 0, largest, 1)
    if scaled.shape[1] != 3:
        scaled = np.repeat(scaled.mean(axis=1, keepdims=True), 3, axis=1)
    pixels = np.rint(255 * scaled).astype(np.uint8).transpose(0, 2, 3, 1)
    side = min(_side(len(pixels), width_px), 12 * max(pixels.shape[1:3]))
    return tiles([_fitted(each, side) for each in pixels], _columns(len(pixels)))


def field_picture(
    gradient: Floats,
    receptive_px: tuple[float, float] | None,
    width_px: tuple[float, float] | None,
    centre_px: tuple[float, float] | None = None,
) -> Pixels:
    """An effective field in colours (square root of its share of the largest), with outlines.

    Args:
        gradient: float32 [H, W], of at least 0.
        receptive_px: (x, y) of the theoretical field: a white box; None: none is drawn.
        width_px: (x, y) of the effective width: a blue ellipse.
        centre_px: (x, y) of both; None: the gradient's own.
    """
    most = float(gradient.max()) or 1.0
    picture = _fitted(shade(np.sqrt(gradient / most), "plasma"), FIELD_PX)
    scale = picture.shape[1] / gradient.shape[1]
    if centre_px is None:
        total = float(gradient.sum()) or 1.0
        rows, columns = np.indices(gradient.shape)
        centre_px = (
            float((gradient * columns).sum()) / total,
            float((gradient * rows).sum()) / total,
        )
    centre = np.array(centre_px) + 0.5
    if receptive_px is not None:
        corners = [
            tuple(int(v) for v in np.rint((centre + sign * np.array(receptive_px) / 2) * scale))
            for sign in (-1, 1)
        ]
        cv2.rectangle(picture, corners[0], corners[1], THEORY, 2)
    if width_px is not None:
        middle = tuple(int(v) for v in np.rint(centre * scale))
        axes = tuple(max(1, round(v * scale / 2)) for v in width_px)
        cv2.ellipse(picture, middle, axes, 0, 0, 360, EFFECTIVE, 2, cv2.LINE_AA)
    return picture


def _columns(count: int) -> int:
    return max(1, math.ceil(math.sqrt(1.6 * count)))


def _side(count: int, width_px: int) -> int:
    return int(np.clip(width_px // _columns(count) - GAP_PX, LEAST_PX, LARGEST_PX))


def _fitted(pixels: Pixels, side: int) -> Pixels:
    """Pixels [h, w, 3] with `side` as their width; enlarged in blocks, made smaller by means."""
    height, width = pixels.shape[:2]
    size = (side, max(1, round(height * side / width)))
    how = cv2.INTER_NEAREST if side >= width else cv2.INTER_AREA
    return np.ascontiguousarray(cv2.resize(pixels, size, interpolation=how), np.uint8)


def _crossed(side: int) -> Pixels:
    cell = np.full((side, side, 3), DEAD, np.uint8)
    cv2.line(cell, (0, 0), (side - 1, side - 1), MARK, 1, cv2.LINE_AA)
    cv2.line(cell, (side - 1, 0), (0, side - 1), MARK, 1, cv2.LINE_AA)
    return cell


def _with_key(picture: Pixels, low: float, high: float, sign: str) -> Pixels:
    """The picture with its colour scale and the scale's ends below."""
    width = max(picture.shape[1], 240)
    paper = np.full((picture.shape[0] + 2 * BAR_PX + LETTER_PX + 8, width, 3), 255, np.uint8)
    paper[: picture.shape[0], : picture.shape[1]] = picture
    top = picture.shape[0] + BAR_PX // 2
    paper[top : top + BAR_PX, :240] = shade(np.linspace(0, 1, 240))[None]
    words = [Words(0, top + BAR_PX + 1, f"{low:.3g}", LETTER_PX)]
    end = Words(0, top + BAR_PX + 1, f"{sign}{high:.3g}", LETTER_PX)
    words.append(Words(240 - end.width_px, end.y, end.text, LETTER_PX))
    return write_words(paper, words)
