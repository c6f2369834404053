"""A whole level made small, in bands of native tiles: each is decoded once, few are held."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import ReadError
from histocnn.slides.geometry import Pixels, Size, resample
from histocnn.slides.readers import WHITE, Reader, mosaic


def shrink_level(reader: Reader, level: int, size_px: Size) -> Pixels:
    """A level resampled to `size_px` (w, h), edge to edge, by area.

    A tile that cannot be decoded is white. uint8 [h, w, 3].

    Raises:
        ReadError: No tile at all could be decoded.
    """
    level_w, level_h = reader.level_sizes[level]
    w, h = size_px
    tile = _Forgiving(reader, level)
    band_h = reader.tile_sizes[level][1]
    rows_per_px = level_h / min(h, level_h)
    out = np.empty((min(h, level_h), w, 3), np.uint8)
    unfinished = np.zeros((1, w, 3), np.float32)  # the row that two bands share
    for top in range(0, level_h, band_h):
        low = min(top + band_h, level_h)
        band = np.empty((low - top, level_w, 3), np.uint8)
        mosaic(tile, (level_w, level_h), reader.tile_sizes[level], (0, top), band)
        narrow = resample(band, (w, low - top)).reshape(low - top, -1).astype(np.float32)
        first, weights = _row_weights(top, low, rows_per_px)
        rows = (weights @ narrow).reshape(-1, w, 3)
        rows[:1] += unfinished
        done = rows if low == level_h else rows[:-1]
        done = done[: len(out) - first]
        out[first : first + len(done)] = np.rint(done)
        unfinished = rows[-1:]
    tile.raise_if_none_decoded()
    return resample(out, size_px)


def _row_weights(top: int, low: int, rows_per_px: float) -> tuple[int, NDArray[np.float32]]:
    """How much each source row in [top, low) adds to each output row.

    Returns:
        The first output row, and float32 [output rows, low - top]; the last output row is the one
        that begins at or before `low` and may go on in the next band.
    """
    first, last = int(top / rows_per_px), int(low / rows_per_px)
    starts = np.arange(first, last + 1)[:, None] * rows_per_px
    source = np.arange(top, low)[None]
    overlap = np.minimum(starts + rows_per_px, source + 1) - np.maximum(starts, source)
    return first, (overlap.clip(0) / rows_per_px).astype(np.float32)


class _Forgiving:
    """A reader's tiles of one level, white where one cannot be decoded."""

    def __init__(self, reader: Reader, level: int) -> None:
        self.reader, self.level = reader, level
        self.decoded = 0
        self.error: ReadError | None = None

    def __call__(self, col: int, row: int) -> Pixels:
        try:
            pixels = self.reader.tile(self.level, col, row)
            self.decoded += 1
        except ReadError as error:
            self.error = error
            w, h = self.reader.tile_sizes[self.level]
            pixels = np.full((h, w, 3), WHITE, np.uint8)
        return pixels

    def raise_if_none_decoded(self) -> None:
        if self.error and not self.decoded:
            raise self.error
