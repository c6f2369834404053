"""A whole level made small, in bands of native tiles: each is decoded once, few are held."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import ReadError
from histocnn.slides.geometry import Pixels, Size, resample
from histocnn.slides.readers import WHITE, Reader, mosaic

STRIP_PX = (
    32  # rows of a band at a time: each adds to few rows of the result, and the cache holds it
)


def shrink_level(reader: Reader, level: int, size_px: Size) -> Pixels:
    """A level resampled to `size_px` (w, h), edge to edge, by area.

    A tile that cannot be decoded is white. uint8 [h, w, 3].

    Raises:
        ReadError: No tile at all could be decoded.
    """
    level_h, (w, h) = reader.level_sizes[level][1], size_px
    tile = _Forgiving(reader, level)
    rows_per_px = level_h / min(h, level_h)
    out = np.empty((min(h, level_h), w, 3), np.uint8)
    unfinished = np.zeros((1, w, 3), np.float32)  # the row that two bands share
    for top, band in tile.bands():
        low = top + len(band)
        for start in range(top, low, STRIP_PX):
            stop = min(start + STRIP_PX, low)
            narrow = resample(band[start - top : stop - top], (w, stop - start))
            first, weights = _row_weights(start, stop, rows_per_px)
            rows = (weights @ narrow.reshape(stop - start, -1).astype(np.float32)).reshape(-1, w, 3)
            rows[:1] += unfinished
            done = rows if stop == level_h else rows[:-1]
            done = done[: len(out) - first]
            out[first : first + len(done)] = np.rint(done, out=done)
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

    def bands(self) -> Iterator[tuple[int, Pixels]]:
        """Where each band of tiles begins, and its pixels; the next is read meanwhile."""
        size, tile_size = self.reader.level_sizes[self.level], self.reader.tile_sizes[self.level]

        def band(top: int) -> Pixels:
            out = np.empty((min(tile_size[1], size[1] - top), size[0], 3), np.uint8)
            return mosaic(self, size, tile_size, (0, top), out)

        with ThreadPoolExecutor(1, thread_name_prefix="bands") as pool:
            tops = range(0, size[1], tile_size[1])
            coming = pool.submit(band, 0)
            for top in tops:
                pixels = coming.result()
                if top != tops[-1]:
                    coming = pool.submit(band, top + tile_size[1])
                yield top, pixels

    def raise_if_none_decoded(self) -> None:
        if self.error and not self.decoded:
            raise self.error
