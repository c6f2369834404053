"""A grid's patches in order, each native tile decoded once, by threads.

A decoded tile is copied at once, while the processor's cache still holds it, to every patch that
needs it: decoded tiles are never kept, patches that are begun are. A patch that is a tile is
decoded in its place. Memory is used again, because what the system gives anew it clears first.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import ReadError
from histocnn.slides.geometry import Crops, Pixels, Size, resample
from histocnn.slides.memory import MEMORY
from histocnn.slides.readers import WHITE, Reader, paste
from histocnn.slides.slide import Slide

WINDOW_BYTES = 512 * 2**20  # patches that a tile may be copied to ahead: 3,500 of 224 px
AHEAD_BYTES = 64 * 2**20  # patches whose tiles are decoded before they are asked for
RUN_PX = 2**20  # pixels of the patches of one task, unless a single one has more

Index = NDArray[np.int64]


class Batch(NamedTuple):
    """Some patches.

    Attributes:
        rows: int64 [B], their places in the grid.
        pixels: uint8 [B, height, width, 3]; white where unreadable.
        readable: bool [B], False where a tile of the patch could not be decoded.
    """

    rows: Index
    pixels: Pixels
    readable: NDArray[np.bool_]


def stream(
    slide: Slide,
    coords: NDArray[np.int64] | NDArray[np.float64],
    patch_px: int,
    mpp: float,
    *,
    batch_size: int = 64,
    threads: int = 2,
    rows: Sequence[int] | NDArray[np.int64] | None = None,
) -> Iterator[Batch]:
    """A slide's patches in the order given, the same pixels as `Slide.read` gives one by one.

    A native tile is decoded once for all patches within the window (`WINDOW_BYTES`) that need
    it: once at all where patches come row by row.

    Args:
        slide: The slide.
        coords: [N, 2], (x, y) of each patch's top left corner in level-0 pixels.
        patch_px: Side of a patch, px at `mpp`.
        mpp: µm/px of the patches.
        batch_size: Patches per batch; the last may have fewer.
        threads: Threads that read, decode and resample.
        rows: The places in `coords` to read, in this order; all of them if None.

    Raises:
        ResolutionError: See `Slide.require_mpp`.

    >>> slide = Slide("demo/cohort/slides/phantom_01.tif")
    >>> corners = np.array([(0, 0), (224, 0), (0, 224)])
    >>> [batch.pixels.shape for batch in stream(slide, corners, 112, mpp=1.0, batch_size=2)]
    [(2, 112, 112, 3), (1, 112, 112, 3)]
    """
    chosen = np.arange(len(coords)) if rows is None else np.asarray(rows, np.int64)
    crops = slide.crops(np.asarray(coords).reshape(-1, 2)[chosen], patch_px, mpp)
    return _Stream(slide.reader, crops, chosen, (patch_px, patch_px), batch_size).batches(threads)


def stream_crops(slide: Slide, crops: Crops, *, threads: int = 2) -> Iterator[Batch]:
    """Crops one by one as they lie on their level, not resampled; else as `stream`."""
    chosen = np.arange(len(crops.origins_px))
    return _Stream(slide.reader, crops, chosen, crops.size_px, batch_size=1).batches(threads)


class _Job(NamedTuple):
    """A tile to decode, and what it goes to: (patch, pixels, their top left on the level)."""

    col: int
    row: int
    targets: list[tuple[int, Pixels, Size]]


class _Stream:
    """Patches cut into runs; a run's task decodes the tiles that no earlier run's has."""

    def __init__(
        self, reader: Reader, crops: Crops, rows: Index, patch_size: Size, batch_size: int
    ) -> None:
        self._reader, self._level, self._rows = reader, crops.level, rows
        self._crop_size, self._patch_size = crops.size_px, patch_size
        self._origins = crops.origins_px
        w, h = crops.size_px
        ends, level_size = crops.origins_px + crops.size_px, reader.level_sizes[crops.level]
        self._is_outside = np.any((crops.origins_px < 0) | (ends > level_size), axis=1)
        self._batch_size, self._step = batch_size, min(batch_size, max(1, RUN_PX // (w * h)))
        self._ahead = min(2 * batch_size, AHEAD_BYTES // (w * h * 3)) // self._step
        self._tiles = _TilePlan(reader, crops, window=max(1, WINDOW_BYTES // (w * h * 3)))
        self._readable = np.ones(len(rows), bool)
        self._batches: dict[int, Pixels] = {}  # of patches that are begun, by their first
        self._crops: dict[int, Pixels] = {}  # of runs that are begun and must be resampled
        self._scratch = threading.local()  # .tile: where this thread decodes

    def batches(self, threads: int) -> Iterator[Batch]:
        """Give all batches, in order."""
        runs: deque[tuple[slice, Future[None], Future[None]]] = deque()
        pool = ThreadPoolExecutor(threads, thread_name_prefix="tiles")
        try:
            for run in self._runs():
                decoded = done = pool.submit(self._decode, self._jobs(run))
                if self._crop_size != self._patch_size:
                    self._in_batch(run.start)  # begun here, not by two threads at once
                    needed = [*(earlier for _, earlier, _ in runs), decoded]
                    done = pool.submit(self._resample, run, needed)
                runs.append((run, decoded, done))
                if len(runs) > max(threads, self._ahead):
                    yield from self._finished(*runs.popleft())
            while runs:
                yield from self._finished(*runs.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _runs(self) -> Iterator[slice]:
        for low in range(0, len(self._rows), self._batch_size):
            end = min(low + self._batch_size, len(self._rows))
            for start in range(low, end, self._step):
                yield slice(start, min(start + self._step, end))

    def _jobs(self, run: slice) -> list[_Job]:
        return [
            _Job(col, row, [(i, self._canvas(i), self._origin(i)) for i in patches])
            for col, row, patches in self._tiles.first_needed_by(run)
        ]

    def _decode(self, jobs: list[_Job]) -> None:
        level_size = self._reader.level_sizes[self._level]
        tile_w, tile_h = self._reader.tile_sizes[self._level]
        for col, row, targets in jobs:
            place = col * tile_w, row * tile_h
            try:
                tile = self._reader.tile(self._level, col, row, self._room(place, targets))
            except ReadError:
                self._readable[[patch for patch, _, _ in targets]] = False
                continue
            for _, canvas, xy in targets:
                if canvas is not tile:
                    paste(tile, place, level_size, canvas, xy)

    def _room(self, place: Size, targets: list[tuple[int, Pixels, Size]]) -> Pixels:
        """Where to decode a tile: in the patch that it is, else in memory of this thread."""
        tile_w, tile_h = self._reader.tile_sizes[self._level]
        if self._crop_size == (tile_w, tile_h):
            for patch, canvas, xy in targets:
                if xy == place and not self._is_outside[patch]:
                    return canvas
        if not hasattr(self._scratch, "tile"):
            self._scratch.tile = np.empty((tile_h, tile_w, 3), np.uint8)
        tile: Pixels = self._scratch.tile
        return tile

    def _resample(self, run: slice, needed: list[Future[None]]) -> None:
        for decoded in needed:  # all entered the queue before this task: no deadlock
            decoded.result()
        for patch in range(run.start, run.stop):
            resample(self._canvas(patch), self._patch_size, self._in_batch(patch))

    def _finished(self, run: slice, decoded: Future[None], done: Future[None]) -> Iterator[Batch]:
        decoded.result()
        done.result()
        self._crops.pop(run.start, None)
        low = run.start - run.start % self._batch_size
        part = slice(low, low + self._batch_size)
        if run.stop == min(part.stop, len(self._rows)):
            self._in_batch(low)
            pixels, readable = self._batches.pop(low), self._readable[part].copy()
            pixels[~readable] = WHITE
            yield Batch(self._rows[part], pixels, readable)

    def _origin(self, patch: int) -> Size:
        x, y = self._origins[patch].tolist()
        return x, y

    def _canvas(self, patch: int) -> Pixels:
        """Where the tiles of a patch are copied to: its place in the batch if that is all."""
        if self._crop_size == self._patch_size:
            return self._in_batch(patch)
        within = patch % self._batch_size % self._step
        crop: Pixels = self._begun(self._crops, patch - within, self._step, self._crop_size)[within]
        return crop

    def _in_batch(self, patch: int) -> Pixels:
        within = patch % self._batch_size
        batch = self._begun(self._batches, patch - within, self._batch_size, self._patch_size)
        pixels: Pixels = batch[within]
        return pixels

    def _begun(self, begun: dict[int, Pixels], first: int, most: int, size: Size) -> Pixels:
        if first not in begun:
            count = min(most, len(self._rows) - first)
            pixels = MEMORY.array((count, size[1], size[0], 3))
            pixels[self._is_outside[first : first + count]] = WHITE  # tiles cover all others
            begun[first] = pixels
        return begun[first]


class _TilePlan:
    """Which patches need a tile, and which have had it.

    Args:
        reader: Its levels and tiles.
        crops: The patches, in the order in which they are wanted.
        window: How many patches ahead a tile is given to.
    """

    def __init__(self, reader: Reader, crops: Crops, window: int) -> None:
        level_size = np.array(reader.level_sizes[crops.level])
        tile_size = np.array(reader.tile_sizes[crops.level])
        starts = crops.origins_px.clip(0, level_size) // tile_size
        ends = -(-(crops.origins_px + crops.size_px).clip(0, level_size) // tile_size)
        ends[(crops.origins_px >= level_size).any(axis=1)] = 0
        self._spans = np.concatenate([starts, ends], axis=1)  # columns and rows [start, end)
        self._columns, rows = (-(-level_size // tile_size)).tolist()
        self._window = window
        self._given_until = np.zeros(self._columns * rows, np.int64)
        tile, patch = self._pairs()
        order = np.lexsort((patch, tile))
        self._patches = patch[order]
        self._begins = np.searchsorted(tile[order], np.arange(self._columns * rows + 1))

    def first_needed_by(self, run: slice) -> Iterator[tuple[int, int, list[int]]]:
        """Column, row and patches of each tile that a run needs and has not had; in order."""
        for patch, (left, top, right, bottom) in enumerate(
            self._spans[run].tolist(), start=run.start
        ):
            for row in range(top, bottom):
                for col in range(left, right):
                    tile = row * self._columns + col
                    if self._given_until[tile] <= patch:
                        self._given_until[tile] = patch + self._window
                        yield col, row, self._within_window(tile, patch)

    def _within_window(self, tile: int, patch: int) -> list[int]:
        patches = self._patches[self._begins[tile] : self._begins[tile + 1]]
        first, end = np.searchsorted(patches, [patch, patch + self._window])
        chosen: list[int] = patches[first:end].tolist()
        return chosen

    def _pairs(self) -> tuple[Index, Index]:
        """List every (tile, patch) of which the patch needs the tile."""
        first, end = self._spans[:, :2], self._spans[:, 2:]
        across, down = (end - first).max(axis=0, initial=0)
        tiles, patches = [], []
        for i in range(down):
            for j in range(across):
                col, row = first[:, 0] + j, first[:, 1] + i
                needs = np.flatnonzero((col < end[:, 0]) & (row < end[:, 1]))
                tiles.append(row[needs] * self._columns + col[needs])
                patches.append(needs)
        empty = np.zeros(0, np.int64)
        return np.concatenate([empty, *tiles]), np.concatenate([empty, *patches])
