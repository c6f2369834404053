"""The HDF5 files between stages: schema, recipes, atomic and streamed writing. Arrays only.

Datasets lie at the root. Our attributes are the root's `histocnn_<name>`; an attribute of a dataset
is named `dataset.name` on the way in and out ("labels.class_names"). Files of CLAM and TRIDENT are
read as if they were ours (`foreign.py`), and ours carry on `coords` what theirs look for.
"""

from __future__ import annotations

import contextlib
import queue
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from histocnn.errors import StoreError
from histocnn.storage import foreign
from histocnn.storage.atomic import write_error
from histocnn.storage.hdf5 import (
    PREFIX,
    Datasets,
    array_of,
    attributes_of,
    creating,
    describe,
    fill,
    is_ours,
    opening,
    said_by,
)
from histocnn.storage.json import differing_keys
from histocnn.storage.signals import held

CLASS_NAMES = "class_names"
CHUNK_BYTES = 1 << 20
QUEUED_BLOCKS = 16


def write(path: str | Path, datasets: Datasets, attributes: Mapping[str, Any]) -> None:
    """Write a whole file in one step: it is there complete, or not at all.

    Args:
        path: The target.
        datasets: Arrays by name; a sequence of strings becomes a UTF-8 dataset.
        attributes: By name; "labels.class_names" is the attribute `class_names` of `labels`.
            None is left out. A mapping (`recipe`) is stored as JSON.

    Raises:
        StoreError: The folder is read-only, the disk is full, or an attribute is over 64 kB.
    """
    with held(), creating(Path(path)) as (file, _):
        fill(file, datasets)
        describe(file, attributes, Path(path))


def read(path: str | Path, *names: str) -> dict[str, Any]:
    """Read all or the named datasets into memory.

    Strings come back as list[str]; the leading axis of 1 of foreign files is dropped.

    Raises:
        StoreError: The file is missing, is not HDF5, is cut short, or lacks a named dataset.
    """
    with opening(Path(path)) as file:
        present = _datasets(file)
        missing = [name for name in names if name not in present]
        if missing:
            raise StoreError(
                f"{path}: has no {', '.join(missing)}, only {', '.join(present) or 'nothing'}",
                "Give the folder of the stage that writes it.",
            )
        arrays = {name: array_of(file[name], Path(path)) for name in names or present}
        return arrays if is_ours(file) else foreign.drop_leading_axis(arrays)


def shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """The datasets of a file, and their shapes; nothing of them is read.

    Raises:
        StoreError: The file is missing, is not HDF5, or is cut short.
    """
    with opening(Path(path)) as file:
        return {name: tuple(file[name].shape) for name in _datasets(file)}


def _datasets(file: h5py.File) -> list[str]:
    """The datasets at the root; a link that leads nowhere is none."""
    return [name for name in file if isinstance(file.get(name), h5py.Dataset)]


def attributes(path: str | Path, *names: str) -> dict[str, Any]:
    """Read the attributes, or the root's named: ours without prefix, or all of CLAM's or TRIDENT's.

    Numbers in a row come back as a tuple, strings as list[str], JSON as what it says.

    Raises:
        StoreError: The file is missing, is not HDF5, or is cut short.
    """
    with opening(Path(path)) as file:
        if is_ours(file):
            wanted = [PREFIX + n for n in names] or [n for n in file.attrs if n.startswith(PREFIX)]
            said = {name.removeprefix(PREFIX): v for name, v in said_by(file, wanted).items()}
            if names:
                return said
        else:
            theirs = attributes_of(file["coords"], foreign.THEIRS) if "coords" in file else {}
            said = foreign.attributes(theirs, Path(path).stem)
        for dataset in set(_datasets(file)) - {"coords"}:  # there it is for CLAM and TRIDENT
            borne = list(file[dataset].attrs) if is_ours(file) else [CLASS_NAMES]
            found = said_by(file[dataset], borne)
            said |= {f"{dataset}.{name}": value for name, value in found.items()}
        return said


def rows(path: str | Path) -> int:
    """How many patches a file is about, without reading them.

    Raises:
        StoreError: The file is missing, is not HDF5, or is cut short.
    """
    with opening(Path(path)) as file:
        found = [len(file[name]) for name in ("coords", "paths", "features") if name in file]
        return found[0] if found else 0


def differences(path: str | Path, recipe: Mapping[str, Any]) -> list[str] | None:
    """Compare a stored file's recipe with today's.

    Returns:
        None when there is no whole file, else the keys that differ: empty means done.
    """
    try:
        stored = attributes(path).get("recipe", {})
    except StoreError:
        return None
    return differing_keys(stored, recipe)


class Column(NamedTuple):
    """A dataset that is filled while the stage runs: the shape of one row, its type, its filler."""

    shape: tuple[int, ...]
    dtype: DTypeLike
    fill: float = np.nan


class Writer:
    """A file that grows in the background: `put` returns at once unless the disk is far behind.

    One thread writes; HDF5's chunk cache turns blocks into whole chunks, so memory does not grow
    with the rows. Rows may come in any order; a row that never comes keeps its filler.

    Args:
        path: The target, put in place when the block ends well; else nothing is left.
        rows: The number of rows N of every dataset.
        datasets: By name the row's shape, dtype and filler.
        attributes: As for `write`.
        copy: Datasets written whole at the start (coords, labels …).

    Attributes:
        seconds_waited: How long the caller was held up by the writer, so far.

    Raises:
        StoreError: As for `write`; from `put` or at the end when the disk failed meanwhile.
    """

    def __init__(
        self,
        path: str | Path,
        rows: int,
        datasets: Mapping[str, Column | tuple[tuple[int, ...], DTypeLike, float]],
        attributes: Mapping[str, Any],
        copy: Datasets | None = None,
    ) -> None:
        self.path = Path(path)
        self.rows = rows
        self.seconds_waited = 0.0
        self._columns = {name: Column(*column) for name, column in datasets.items()}
        self._attributes = attributes
        self._copy = copy or {}
        self._queue: queue.Queue[tuple[NDArray[np.int64], dict[str, NDArray[Any]]] | None]
        self._queue = queue.Queue(QUEUED_BLOCKS)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=f"writer of {self.path.name}")
        self._begun = contextlib.ExitStack()

    def __enter__(self) -> Writer:
        try:
            with held():
                self._begin()
        except BaseException as error:
            self._begun.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def _begin(self) -> None:
        self._file, self._raw = self._begun.enter_context(creating(self.path))
        self._check_space()
        fill(self._file, self._copy)
        for name, column in self._columns.items():
            self._create_column(name, column)
        describe(self._file, self._attributes, self.path)
        self._thread.start()
        self._begun.push(self._join)

    def put(self, rows: ArrayLike, blocks: Mapping[str, ArrayLike]) -> None:
        """Hand over a block: `rows` int [B] and for each dataset an array [B, *shape].

        The arrays are copied, so the caller may use its buffers again.

        Raises:
            StoreError: An earlier block could not be written.
        """
        index = np.array(rows, dtype=np.int64)
        if index.ndim != 1 or np.any((index < 0) | (index >= self.rows)):
            raise IndexError(f"{self.path}: rows outside 0 to {self.rows - 1}")
        arrays = {}
        for name, block in blocks.items():
            column = self._columns[name]
            arrays[name] = np.array(block, dtype=column.dtype)
            if arrays[name].shape != (len(index), *column.shape):
                raise ValueError(
                    f"{name}: {arrays[name].shape} is not {(len(index), *column.shape)}"
                )
        if self._error is not None:
            raise self._error
        start = time.perf_counter()
        self._queue.put((index, arrays))
        self.seconds_waited += time.perf_counter() - start

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        start = time.perf_counter()
        self._error = self._error or error  # after an error the thread drops what is queued
        try:
            with held():
                self._begun.__exit__(kind, error, trace)
        finally:
            self.seconds_waited += time.perf_counter() - start

    def _join(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._queue.put(None)
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _check_space(self) -> None:
        sizes = (np.dtype(c.dtype).itemsize * int(np.prod(c.shape)) for c in self._columns.values())
        needed = self.rows * sum(sizes)
        free = shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise StoreError(
                f"{self.path}: needs {needed / 1e6:,.0f} MB and the disk has {free / 1e6:,.0f} MB",
                "Free space, or set another --out.",
            )

    def _create_column(self, name: str, column: Column) -> None:
        row_bytes = max(1, np.dtype(column.dtype).itemsize * int(np.prod(column.shape)))
        chunk_rows = max(1, min(self.rows, CHUNK_BYTES // row_bytes))
        self._file.create_dataset(
            name,
            shape=(self.rows, *column.shape),
            dtype=column.dtype,
            chunks=(chunk_rows, *column.shape) if self.rows else None,
            fillvalue=column.fill,
        )

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is not None:
                continue
            try:
                rows, arrays = item
                for name, array in arrays.items():
                    _put_rows(self._file[name], rows, array)
                if self._raw.error is not None:
                    self._error = write_error(self.path, self._raw.error)
            except Exception as error:  # handed to the caller's thread by the next put
                self._error = error


def _put_rows(dataset: h5py.Dataset, rows: NDArray[np.int64], array: NDArray[Any]) -> None:
    """Write rows in runs of neighbours; of a row given twice the last counts."""
    order = np.argsort(rows, kind="stable")
    starts = np.flatnonzero(np.diff(rows[order], prepend=-2) != 1)
    for run in np.split(order, starts[1:]):
        if len(run):
            dataset[rows[run[0]] : rows[run[0]] + len(run)] = array[run]
