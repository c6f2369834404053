"""A large dataset read piece by piece: the rows that are asked for, in their own type."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from histocnn.errors import StoreError
from histocnn.storage.contained import check_size
from histocnn.storage.hdf5 import NUMBERS, opening

_GAP_BYTES = 64 << 10  # read what lies between two rows rather than begin anew
_RUN_BYTES = 4 << 20  # at a time


def rows_of(path: Path, name: str, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Some rows of a dataset [N, D]; the leading axis of 1 of foreign files is dropped.

    Args:
        path: The file.
        name: The dataset.
        rows: int64 [M], rising.

    Returns:
        [M, D], in the type that the file has.

    Raises:
        StoreError: As `store.read`; there are no such rows.
    """
    with opening(path) as file:
        dataset = file[name]
        check_size(dataset, path)
        flat = dataset.ndim == 2 or (dataset.ndim == 3 and dataset.shape[0] == 1)
        if dataset.dtype.kind not in NUMBERS or not flat:
            raise StoreError(
                f"{path}: its {name} are of type {dataset.dtype} and shape {dataset.shape}",
                "Run the stage that wrote it again, or ask for the file again.",
            )
        if len(rows) and not 0 <= rows[0] <= rows[-1] < dataset.shape[-2]:
            raise StoreError(
                f"{path}: {dataset.shape[-2]} {name}, not {rows[-1] + 1} as before",
                "Leave a file in its place while it is used.",
            )
        found = np.empty((len(rows), dataset.shape[-1]), dataset.dtype)
        for first, last in _runs(rows, dataset):
            low = int(rows[first])
            read = dataset[(*(0,) * (dataset.ndim - 2), slice(low, int(rows[last - 1]) + 1))]
            found[first:last] = read if len(read) == last - first else read[rows[first:last] - low]
        return found


def _runs(rows: NDArray[np.int64], dataset: h5py.Dataset) -> Iterator[tuple[int, int]]:
    """Yield from where to where rows are read at once: neighbours, of 4 MB at most."""
    row_bytes = max(1, dataset.shape[-1] * dataset.dtype.itemsize)
    most = max(1, _RUN_BYTES // row_bytes)
    begin = np.diff(rows, prepend=rows[:1]) > max(1, _GAP_BYTES // row_bytes)
    begin |= np.diff(rows // most, prepend=rows[:1] // most) > 0
    edges = [0, *np.flatnonzero(begin).tolist(), len(rows)]
    return ((a, b) for a, b in pairwise(edges) if b > a)
