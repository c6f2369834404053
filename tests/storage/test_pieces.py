"""Rows of a dataset, piece by piece: those asked for, from whichever layout."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from histocnn.errors import StoreError
from histocnn.storage import pieces
from histocnn.storage.pieces import rows_of

VALUES = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float16)


def write(path: Path, values: np.ndarray, **how: object) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=values, **how)
    return path


@pytest.mark.parametrize("how", [{}, {"chunks": (64, 8)}, {"chunks": (64, 8), "compression": 4}])
def test_the_rows_asked_for(tmp_path: Path, how: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.h5", VALUES, **how)
    monkeypatch.setattr(pieces, "_RUN_BYTES", 1600)
    monkeypatch.setattr(pieces, "_GAP_BYTES", 64)
    rng = np.random.default_rng(1)
    for rows in ([], [499], range(500), [0, 1, 2, 7, 8, 400], np.sort(rng.permutation(500)[:90])):
        found = rows_of(path, "features", np.array([*rows], np.int64))
        np.testing.assert_array_equal(found, VALUES[[*rows]])
        assert found.dtype == np.float16


def test_a_leading_axis_of_one_is_dropped(tmp_path: Path) -> None:
    found = rows_of(write(tmp_path / "a.h5", VALUES[None]), "features", np.array([3, 200]))
    np.testing.assert_array_equal(found, VALUES[[3, 200]])


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", VALUES)
    with pytest.raises(StoreError, match="500 features, not 501 as before"):
        rows_of(path, "features", np.array([500]))
    with pytest.raises(StoreError, match=r"of type float16 and shape \(500,\)"):
        rows_of(write(tmp_path / "b.h5", VALUES[:, 0]), "features", np.array([0]))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(StoreError, match="not a whole HDF5 file"):
        rows_of(path, "features", np.array([0]))
