"""Every native tile of a slide decoded: which cannot be, and which are not what was written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from histocnn.errors import ReadError
from histocnn.slides.readers import Reader

Point = tuple[int, int]


@dataclass(frozen=True)
class Level:
    """What became of the tiles of a level.

    Attributes:
        level: Which.
        tiles: How many it has.
        unreadable: How many cannot be decoded.
        damaged: How many are decoded, and are not what was written.
        first_unreadable_l0: (x, y) of the first that cannot be decoded, level-0 px.
        first_damaged_l0: (x, y) of the first that is damaged, level-0 px.
        pixels: Of the level.
        seconds: Taken.
    """

    level: int
    tiles: int
    unreadable: int
    damaged: int
    first_unreadable_l0: Point | None
    first_damaged_l0: Point | None
    pixels: int
    seconds: float


def decode_all(reader: Reader, threads: int, tick: Callable[[int, int], None]) -> list[Level]:
    """Decode every tile of every level; no pixels are kept.

    Args:
        reader: The slide's.
        threads: Threads that read and decode, a row of tiles each.
        tick: Is told how many tiles are done, and of how many.

    >>> from histocnn.slides.slide import Slide
    >>> slide = Slide("demo/cohort/slides/phantom_01.tif")
    >>> [(l.tiles, l.unreadable, l.damaged) for l in decode_all(slide.reader, 2, lambda *_: None)]
    [(16, 0, 0), (4, 0, 0), (1, 0, 0), (1, 0, 0)]
    """
    grids = [_columns_and_rows(reader, level) for level in range(len(reader.level_sizes))]
    total = sum(columns * rows for columns, rows in grids)
    found, done = [], 0
    with ThreadPoolExecutor(threads, thread_name_prefix="tiles") as pool:
        for level, (columns, rows) in enumerate(grids):
            start = time.perf_counter()
            unreadable: list[Point] = []
            damaged: list[Point] = []
            for bad, odd in pool.map(partial(_look, reader, level, range(columns)), range(rows)):
                unreadable += bad
                damaged += odd
                done += columns
                tick(done, total)
            w, h = reader.level_sizes[level]
            found.append(
                Level(
                    level,
                    tiles=columns * rows,
                    unreadable=len(unreadable),
                    damaged=len(damaged),
                    first_unreadable_l0=_first_l0(reader, level, unreadable),
                    first_damaged_l0=_first_l0(reader, level, damaged),
                    pixels=w * h,
                    seconds=time.perf_counter() - start,
                )
            )
    return found


def _columns_and_rows(reader: Reader, level: int) -> Point:
    (w, h), (tile_w, tile_h) = reader.level_sizes[level], reader.tile_sizes[level]
    return -(-w // tile_w), -(-h // tile_h)


def _look(
    reader: Reader, level: int, columns: Iterable[int], row: int
) -> tuple[list[Point], list[Point]]:
    """Decode a row of tiles: the columns and rows of the unreadable and of the damaged."""
    unreadable, damaged = [], []
    for col in columns:
        try:
            pixels = reader.tile(level, col, row)
            if reader.is_damaged(level, col, row, pixels):
                damaged.append((col, row))
        except ReadError:
            unreadable.append((col, row))
    return unreadable, damaged


def _first_l0(reader: Reader, level: int, tiles: list[Point]) -> Point | None:
    if not tiles:
        return None
    (w_l0, h_l0), (w, h) = reader.level_sizes[0], reader.level_sizes[level]
    (col, row), (tile_w, tile_h) = tiles[0], reader.tile_sizes[level]
    return round(col * tile_w * w_l0 / w), round(row * tile_h * h_l0 / h)
