"""Features that stay in their files: rows are read when asked for, or one block after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import FeaturesError
from histocnn.patches import door
from histocnn.storage.pieces import rows_of

Float = NDArray[np.float32]
Int = NDArray[np.int64]

_LOOKED_AT = 8_192  # rows at a time


class StoredRows:
    """Rows of feature files, as an array that is never there.

    Args:
        files: The files.
        file: int64 [N], which file each row is in, rising.
        row: int64 [N], which row of it, rising within a file.
        width: D.
    """

    def __init__(self, files: Sequence[Path], file: Int, row: Int, width: int) -> None:
        self.files = files
        self.width = width
        self._row = row
        self._begin = np.searchsorted(file, np.arange(len(files) + 1))

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, rows: Int, /) -> Float:
        """Those of these numbers int64 [M], in any order, as float32 [M, D]."""
        unique, back = np.unique(rows, return_inverse=True)
        found = np.empty((len(unique), self.width), np.float32)
        self._fill(found, unique)
        return found[back]

    def blocks(self, size: int, among: Int | None = None) -> Iterator[tuple[Int, NDArray[Any]]]:
        """Yield numbers int64 [B] and rows [B, D] in turn, B at most `size`.

        Args:
            size: Of a block; it holds rows of several files where these are short.
            among: Only these rows, rising; default all.

        Yields:
            Rows are of the files' type where that is floating point and one alone, else float32.
        """
        total = len(self) if among is None else len(among)
        for start in range(0, total, size):
            end = min(start + size, total)
            numbers = np.arange(start, end) if among is None else among[start:end]
            parts = list(self._parts(numbers))
            if len(parts) == 1 and parts[0][1].dtype in (np.float16, np.float32):
                yield numbers, parts[0][1]
            else:
                block = np.empty((len(numbers), self.width), np.float32)
                for place, values in parts:
                    block[place : place + len(values)] = values
                yield numbers, block

    def _fill(self, found: Float, rows: Int) -> None:
        for start in range(0, len(rows), _LOOKED_AT):
            for place, values in self._parts(rows[start : start + _LOOKED_AT]):
                found[start + place : start + place + len(values)] = values

    def _parts(self, rows: Int) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield, file by file, where in the rows its own begin, and their values."""
        if not len(rows):
            return
        first, last = np.searchsorted(self._begin, rows[[0, -1]], side="right") - 1
        edges = np.searchsorted(rows, self._begin[first : last + 2])
        for file in range(first, last + 1):
            a, b = edges[file - first], edges[file - first + 1]
            if b > a:
                yield int(a), self._read(file, self._row[rows[a:b]])

    def _read(self, file: int, rows: Int) -> NDArray[Any]:
        values = rows_of(self.files[file], "features", rows)
        if values.shape[1] != self.width:
            raise FeaturesError(
                f"{self.files[file]}: features of width {values.shape[1]}, not {self.width} as "
                "before",
                "Leave a file in its place while it is used.",
            )
        return values


def read_finite(file: Path, *, stay: bool = False) -> tuple[Float, NDArray[np.bool_]]:
    """The features of a file, and which rows could be read.

    Args:
        file: The file.
        stay: Look at them block by block, and leave them where they are.

    Returns:
        float32 [N, D] as they are stored, NaN rows among them, or [0, D] where they stay; bool [N].

    Raises:
        FeaturesError: Infinite values; nothing but NaN; no rows of one width.
        StoreError: As `door.read`.
    """
    if stay:
        rows, width = door.features_shape(file)
        values = np.empty((0, width), np.float32)
        steps = (np.arange(i, min(i + _LOOKED_AT, rows)) for i in range(0, rows, _LOOKED_AT))
        blocks = (rows_of(file, "features", step) for step in steps)
    else:
        values = door.read_features(file)
        rows, blocks = len(values), (each for each in [values])
    broken, infinite, start = np.zeros(rows, bool), 0, 0
    for block in blocks:
        if not np.isfinite(block).all():
            broken[start : start + len(block)] = np.isnan(block).any(axis=1)
            infinite += int(np.isinf(block).any(axis=1).sum())
        start += len(block)
    if infinite:
        raise FeaturesError(
            f"{file}: infinite values in {infinite} rows", "Embed again with --dtype float32."
        )
    if rows and broken.all():
        raise FeaturesError(
            f"{file}: all {rows} rows are NaN", "None of its patches could be read."
        )
    return values, ~broken
