"""Rows in files are the rows that reading everything gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import FeaturesError, StoreError
from histocnn.reference.features import load
from histocnn.reference.stored import StoredRows, read_finite
from tests.feature_files import stored_rows, write_features

PARTS = np.split(np.random.default_rng(0).normal(size=(60, 4)).astype(np.float16), [7, 7, 40])


def test_rows_in_any_order_and_in_blocks(tmp_path: Path) -> None:
    rows, everything = stored_rows(tmp_path, PARTS), np.concatenate(PARTS).astype(np.float32)
    assert len(rows) == 60
    for asked in (np.array([59, 0, 6, 7, 6]), np.zeros(0, np.int64), np.arange(60)):
        found = rows[asked]
        np.testing.assert_array_equal(found, everything[asked])
        assert found.dtype == np.float32
    for size in (1, 13, 99):
        numbers, blocks = zip(*rows.blocks(size), strict=True)
        np.testing.assert_array_equal(np.concatenate(numbers), np.arange(60))
        np.testing.assert_array_equal(np.concatenate(blocks), everything)
    among = np.array([1, 8, 9, 41, 59])
    numbers, blocks = zip(*rows.blocks(2, among), strict=True)
    assert np.concatenate(numbers).tolist() == among.tolist()
    np.testing.assert_array_equal(np.concatenate(blocks), everything[among])


def test_features_that_stay_are_those_that_are_read(tmp_path: Path) -> None:
    files = [
        write_features(tmp_path / f"f{i}.h5", n=20, patients=(f"p{i}",), seed=i, nan_rows=[3] * i)
        for i in range(2)
    ]
    read, stay = load(files), load(files, stay=True)
    assert isinstance(stay.rows, StoredRows)
    assert read.rows is read.values
    assert len(stay.values) == 0
    assert len(stay) == len(read) == 39
    assert stay.unreadable == read.unreadable == 1
    np.testing.assert_array_equal(stay.rows[np.arange(39)], read.values)
    kept = stay.labelled().only(np.array([1, 22, 30]))
    np.testing.assert_array_equal(kept.rows[np.arange(3)], read.values[[1, 22, 30]])
    np.testing.assert_array_equal(stay.groups, read.groups)


@pytest.mark.parametrize("stay", [False, True])
def test_what_is_no_feature_is_refused_wherever_it_stays(tmp_path: Path, stay: bool) -> None:
    inf = write_features(tmp_path / "inf.h5", n=5, shift=np.inf)
    with pytest.raises(FeaturesError, match="infinite values in 5 rows"):
        read_finite(inf, stay=stay)
    nothing = write_features(tmp_path / "nan.h5", n=2, nan_rows=(0, 1))
    with pytest.raises(FeaturesError, match="all 2 rows are NaN"):
        read_finite(nothing, stay=stay)
    good = write_features(tmp_path / "good.h5", n=500, width=64)
    good.write_bytes(good.read_bytes()[:-5_000])
    with pytest.raises(StoreError, match=r"good\.h5: not a whole HDF5 file"):
        read_finite(good, stay=stay)
    one = write_features(tmp_path / "one.h5", n=5)
    other = write_features(tmp_path / "other.h5", n=5, network={"backbone": "vgg"})
    with pytest.raises(FeaturesError, match="different recipes: backbone 'tiny' / 'vgg'"):
        load([one, other], stay=stay)


def test_a_file_that_becomes_another_is_refused(tmp_path: Path) -> None:
    rows = stored_rows(tmp_path, PARTS)
    stored_rows(tmp_path, [part[:, :3] for part in PARTS])
    with pytest.raises(FeaturesError, match="features of width 3, not 4 as before"):
        rows[np.array([0])]
