"""A part of a slide some of whose tiles cannot be decoded: what is there, and what is lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import ReadError
from histocnn.slides.geometry import Crops, Pixels
from histocnn.slides.readers import WHITE, mosaic
from histocnn.slides.slide import Slide

Boxes = NDArray[np.int64]


def read_partly(slide: Slide, crops: Crops) -> tuple[Pixels, Boxes]:
    """The first of some crops as it lies on its level, white where a tile cannot be decoded.

    Returns:
        uint8 [h, w, 3], and the tiles that are lost, int64 [L, 4]: minx, miny, maxx, maxy in pixels
        of the level.
    """
    level, (w, h), origins_px = crops
    x, y = origins_px[0].tolist()
    reader = slide.reader
    tile_w, tile_h = reader.tile_sizes[level]
    lost: list[tuple[int, int, int, int]] = []

    def tile(col: int, row: int) -> Pixels:
        try:
            return reader.tile(level, col, row)
        except ReadError:
            left, top = col * tile_w, row * tile_h
            lost.append((left, top, left + tile_w, top + tile_h))
            return np.full((tile_h, tile_w, 3), WHITE, np.uint8)

    out = np.empty((h, w, 3), np.uint8)
    pixels = mosaic(tile, reader.level_sizes[level], (tile_w, tile_h), (x, y), out)
    boxes = np.array(lost, np.int64).reshape(-1, 4)
    boxes[:, 2:] = np.minimum(boxes[:, 2:], reader.level_sizes[level])
    return pixels, boxes


def touching(
    slide: Slide, xy_l0: NDArray[np.int64], side_px: int, mpp: float, lost: Boxes
) -> NDArray[np.bool_]:
    """Which patches would be read from lost tiles, bool [N].

    Args:
        slide: The slide.
        xy_l0: int64 [N, 2], (x, y) of their top left corners in level-0 pixels.
        side_px: Their side, px at `mpp`.
        mpp: Their µm/px.
        lost: As `read_partly` gives them.
    """
    _, size_px, starts = slide.crops(xy_l0, side_px, mpp)
    ends = starts + size_px
    touched = np.zeros(len(starts), bool)
    for left, top, right, bottom in lost.tolist():
        touched |= ((starts < (right, bottom)) & (ends > (left, top))).all(axis=1)
    return touched
