"""A grid's patches in order, each native tile decoded once, by threads."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import ReadError
from histocnn.slides.geometry import Crops, Pixels, resample
from histocnn.slides.readers import WHITE, Reader, mosaic
from histocnn.slides.slide import Slide

CACHE_BYTES = 384 * 2**20  # two rows of 256 px tiles over 100,000 px are 154 MB
RUN_TILES = 64  # tiles that one task's patches cover at most, unless a single patch covers more

Index = NDArray[np.int64]
TileFutures = dict[tuple[int, int], Future[Pixels]]  # by column and row


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
    coords: NDArray[np.int64],
    patch_px: int,
    mpp: float,
    *,
    batch_size: int = 64,
    threads: int = 2,
    rows: Sequence[int] | NDArray[np.int64] | None = None,
) -> Iterator[Batch]:
    """A slide's patches in the order given, the same pixels as `Slide.read` gives one by one.

    A native tile is decoded once as long as the tiles that later patches need again fit the
    cache: always where patches come row by row.

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
    """
    chosen = np.arange(len(coords)) if rows is None else np.asarray(rows, np.int64)
    crops = slide.crops(np.asarray(coords).reshape(-1, 2)[chosen], patch_px, mpp)
    return _batches(slide.pixels, crops, chosen, patch_px, batch_size, threads)


def _batches(
    reader: Reader, crops: Crops, rows: Index, patch_px: int, batch_size: int, threads: int
) -> Iterator[Batch]:
    """Fill batches by short runs of patches: few runs are in flight, so few tiles are held."""
    spans = _tile_spans(reader, crops)
    runs = _runs(spans, batch_size)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tiles")
    tiles = _Tiles(reader, crops.level, spans, runs, pool)
    in_flight: deque[tuple[Future[None], Batch | None]] = deque()
    try:
        for number, run in enumerate(runs):
            low = run.start - run.start % batch_size
            if run.start == low:
                batch = _empty(rows[low : low + batch_size], patch_px)
            at = slice(run.start - low, run.stop - low)
            part = Batch(batch.rows[at], batch.pixels[at], batch.readable[at])
            # A task waits only for tiles that entered the queue before it: no deadlock.
            task = pool.submit(_fill, part, reader, crops, run, tiles.needed_by(number))
            is_last = at.stop == len(batch.rows)
            in_flight.append((task, batch if is_last else None))
            if len(in_flight) > threads + 1:
                yield from _finished(*in_flight.popleft())
        for task, whole in in_flight:
            yield from _finished(task, whole)
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(task: Future[None], whole: Batch | None) -> Iterator[Batch]:
    task.result()
    if whole is not None:
        yield whole


def _empty(rows: Index, patch_px: int) -> Batch:
    pixels = np.empty((len(rows), patch_px, patch_px, 3), np.uint8)
    return Batch(rows, pixels, np.ones(len(rows), bool))


def _fill(batch: Batch, reader: Reader, crops: Crops, run: slice, tiles: TileFutures) -> None:
    """Put the patches of a run into their places in a batch."""
    level_size, tile_size = reader.level_sizes[crops.level], reader.tile_sizes[crops.level]
    (w, h), patch_px = crops.size_px, batch.pixels.shape[1]
    is_copy = (w, h) == (patch_px, patch_px)
    crop = np.empty((h, w, 3), np.uint8)
    for at, (x, y) in enumerate(crops.origins_px[run].tolist()):
        out = batch.pixels[at] if is_copy else crop
        try:
            mosaic(lambda col, row: tiles[col, row].result(), level_size, tile_size, (x, y), out)
        except ReadError:
            batch.pixels[at], batch.readable[at] = WHITE, False
            continue
        if not is_copy:
            batch.pixels[at] = resample(crop, (patch_px, patch_px))


def _tile_spans(reader: Reader, crops: Crops) -> Index:
    """The tiles each crop touches: [N, 4], (first column, first row, end column, end row)."""
    level_size = np.array(reader.level_sizes[crops.level])
    tile_size = np.array(reader.tile_sizes[crops.level])
    starts = crops.origins_px.clip(0, level_size)
    ends = (crops.origins_px + crops.size_px).clip(0, level_size)
    return np.concatenate([starts // tile_size, -(-ends // tile_size)], axis=1)


def _runs(spans: Index, batch_size: int) -> list[slice]:
    """Cut the patches into runs that cover about RUN_TILES tiles, none across two batches."""
    tiles_per_patch = int((spans[:, 2:] - spans[:, :2]).prod(axis=1).max(initial=1))
    step = max(1, RUN_TILES // max(1, tiles_per_patch))
    return [
        slice(start, min(start + step, low + batch_size, len(spans)))
        for low in range(0, len(spans), batch_size)
        for start in range(low, min(low + batch_size, len(spans)), step)
    ]


class _Tiles:
    """The tiles of a level that runs of patches need, each kept from its first use to its last.

    Args:
        reader: Decodes them.
        level: The level.
        spans: [N, 4], the tiles of each patch, as `_tile_spans` gives them.
        runs: The patches of each run.
        pool: Where they are decoded.
    """

    def __init__(
        self, reader: Reader, level: int, spans: Index, runs: list[slice], pool: ThreadPoolExecutor
    ) -> None:
        self._reader, self._level, self._pool = reader, level, pool
        self._spans, self._runs = spans, runs
        self._last_run = _last_run_of_tiles(spans, runs)
        tile_w, tile_h = reader.tile_sizes[level]
        self._most = max(1, CACHE_BYTES // (tile_w * tile_h * 3))
        self._kept: OrderedDict[tuple[int, int], Future[Pixels]] = OrderedDict()

    def needed_by(self, number: int) -> TileFutures:
        """The tiles that a run needs; runs are asked for in their order."""
        needed: TileFutures = {}
        for left, top, right, bottom in self._spans[self._runs[number]].tolist():
            for row in range(top, bottom):
                for col in range(left, right):
                    if (col, row) not in needed:
                        needed[col, row] = self._tile(col, row, number)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return needed

    def _tile(self, col: int, row: int, number: int) -> Future[Pixels]:
        tile = self._kept.pop((col, row), None)
        if tile is None:
            tile = self._pool.submit(self._reader.tile, self._level, col, row)
        if self._last_run[row, col] > number:
            self._kept[col, row] = tile
        return tile


def _last_run_of_tiles(spans: Index, runs: list[slice]) -> NDArray[np.int32]:
    """For each tile, [rows, columns], the last run that needs it."""
    run_of_patch = np.repeat(
        np.arange(len(runs), dtype=np.int32), [run.stop - run.start for run in runs]
    )
    columns, rows = spans[:, 2:].max(axis=0, initial=0)
    last = np.zeros((rows, columns), np.int32)
    across, down = (spans[:, 2:] - spans[:, :2]).max(axis=0, initial=0)
    for i in range(down):
        for j in range(across):
            col, row = spans[:, 0] + j, spans[:, 1] + i
            touched = (col < spans[:, 2]) & (row < spans[:, 3])
            np.maximum.at(last, (row[touched], col[touched]), run_of_patch[touched])
    return last
