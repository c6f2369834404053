"""A grid's patches in order, each native tile decoded once, by threads.

A decoded tile is copied at once, while the processor's cache still holds it, to every patch that
needs it: decoded tiles are never kept, patches that are begun are. A patch that is a tile is
decoded in its place. Memory is used again, because what the system gives anew it clears first.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import ReadError
from histocnn.slides.buffers import BUFFERS
from histocnn.slides.geometry import Crops, Pixels, Size, resample
from histocnn.slides.readers import WHITE, Box, Reader, as_lines, paste
from histocnn.slides.slide import Slide

WINDOW_BYTES = 512 * 2**20  # patches that a tile may be copied to ahead: 3,500 of 224 px
AHEAD_BYTES = 64 * 2**20  # patches whose tiles are decoded before they are asked for
RUN_PX = 2**22  # pixels of the patches of one task, unless a single one has more

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


class _Canvas(NamedTuple):
    """Where a patch's pixels are copied to, as lines, and the patch's place on the level."""

    lines: Pixels
    box: Box


class _Job(NamedTuple):
    """A tile to decode, and the patches that it goes to."""

    col: int
    row: int
    patches: list[int]
    canvases: list[_Canvas]


class _Stream:
    """Patches cut into runs; a run's task decodes the tiles that no earlier run's has."""

    def __init__(
        self, reader: Reader, crops: Crops, rows: Index, patch_size: Size, batch_size: int
    ) -> None:
        self._reader, self._level, self._rows = reader, crops.level, rows
        self._crop_size, self._patch_size = crops.size_px, patch_size
        w, h = crops.size_px
        self._boxes = np.hstack([crops.origins_px, crops.origins_px + crops.size_px])
        self._batch_size, self._step = batch_size, min(batch_size, max(1, RUN_PX // (w * h)))
        self._ahead = min(2 * batch_size, AHEAD_BYTES // (w * h * 3)) // self._step
        self._tiles = _TilePlan(reader, crops, window=max(1, WINDOW_BYTES // (w * h * 3)))
        self._readable = np.ones(len(rows), bool)
        self._batches: dict[int, Pixels] = {}  # of patches that are begun, by their first
        self._canvases: dict[int, _Canvas] = {}  # of patches that are begun
        self._scratch = threading.local()  # .tile: where this thread decodes

    def batches(self, threads: int) -> Iterator[Batch]:
        """Give all batches, in order."""
        runs: deque[tuple[slice, Future[None], Future[None]]] = deque()
        pool = ThreadPoolExecutor(threads, thread_name_prefix="tiles")
        try:
            for run in self._runs():
                self._canvas(run.start), self._batch(run.start)  # before threads ask for them
                decoded = done = pool.submit(self._decode, self._jobs(run))
                if self._crop_size != self._patch_size:
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
            _Job(col, row, patches, [self._canvas(patch) for patch in patches])
            for col, row, patches in self._tiles.first_needed_by(run)
        ]

    def _decode(self, jobs: list[_Job]) -> None:
        (level_w, level_h), (w, h) = (
            sizes[self._level] for sizes in (self._reader.level_sizes, self._reader.tile_sizes)
        )
        for col, row, patches, canvases in jobs:
            x, y = col * w, row * h
            box = x, y, min(x + w, level_w), min(y + h, level_h)
            lines = self._room(box, canvases)
            room = lines.reshape(h, w, 3)
            try:
                tile = self._reader.tile(self._level, col, row, room)
            except ReadError:
                self._readable[patches] = False
                continue
            if tile is not room:
                lines = as_lines(tile)
            for canvas in canvases:
                if canvas.lines is not lines:
                    paste(lines, box, *canvas)

    def _room(self, box: Box, canvases: list[_Canvas]) -> Pixels:
        """Where to decode a tile: in the patch that it is, else in memory of this thread."""
        w, h = self._reader.tile_sizes[self._level]
        if self._crop_size == (w, h):
            for canvas in canvases:
                if canvas.box == box:
                    return canvas.lines
        if not hasattr(self._scratch, "tile"):
            self._scratch.tile = BUFFERS.array((h, 3 * w))
        tile: Pixels = self._scratch.tile
        return tile

    def _resample(self, run: slice, needed: list[Future[None]]) -> None:
        for decoded in needed:  # all entered the queue before this task: no deadlock
            decoded.result()
        (w, h), batch = self._crop_size, self._batch(run.start)
        for patch in range(run.start, run.stop):
            crop = self._canvases[patch].lines.reshape(h, w, 3)
            resample(crop, self._patch_size, batch[patch % self._batch_size])

    def _finished(self, run: slice, decoded: Future[None], done: Future[None]) -> Iterator[Batch]:
        decoded.result()
        done.result()
        for patch in range(run.start, run.stop):
            del self._canvases[patch]
        low = run.start - run.start % self._batch_size
        part = slice(low, low + self._batch_size)
        if run.stop == min(part.stop, len(self._rows)):
            pixels, readable = self._batches.pop(low), self._readable[part].copy()
            pixels[~readable] = WHITE
            yield Batch(self._rows[part], pixels, readable)

    def _canvas(self, patch: int) -> _Canvas:
        if patch not in self._canvases:
            self._begin(patch)
        return self._canvases[patch]

    def _begin(self, patch: int) -> None:
        """Give a patch and its neighbours a canvas: their places in the batch if that is all."""
        low = patch - patch % self._batch_size
        if self._crop_size == self._patch_size:
            pixels = self._batch(patch)
        else:
            end = low + self._batch_size
            low += (patch - low) // self._step * self._step
            pixels = self._new(slice(low, min(low + self._step, end)), self._crop_size)
        boxes = self._boxes[low : low + len(pixels)].tolist()
        for i, (x, y, x_end, y_end) in enumerate(boxes):
            self._canvases[low + i] = _Canvas(as_lines(pixels[i]), (x, y, x_end, y_end))

    def _batch(self, patch: int) -> Pixels:
        low = patch - patch % self._batch_size
        if low not in self._batches:
            self._batches[low] = self._new(slice(low, low + self._batch_size), self._patch_size)
        return self._batches[low]

    def _new(self, patches: slice, size: Size) -> Pixels:
        boxes, level_size = self._boxes[patches], self._reader.level_sizes[self._level]
        pixels = BUFFERS.array((len(boxes), size[1], size[0], 3))
        is_outside = (boxes[:, :2] < 0) | (boxes[:, 2:] > level_size)
        pixels[is_outside.any(axis=1)] = WHITE  # tiles cover all others
        return pixels


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
        self._given_until = np.zeros(self._columns * rows, np.int64).data
        tile, patch = self._pairs()
        order = np.lexsort((patch, tile))
        self._patches = patch[order].data  # memory gives single numbers sooner than arrays do
        self._begins = np.searchsorted(tile[order], np.arange(self._columns * rows + 1)).data

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
        begin, end = self._begins[tile], self._begins[tile + 1]
        begin = bisect_left(self._patches, patch, begin, end)
        end = bisect_left(self._patches, patch + self._window, begin, end)
        return self._patches[begin:end].tolist()

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
