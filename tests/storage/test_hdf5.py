"""Arrays, texts and attributes in an HDF5 file, which is whole or not there."""

from __future__ import annotations

import fcntl
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histocnn.errors import StoreError
from histocnn.storage import hdf5, store
from tests.storage.test_store import BARE, COORDS, GRID

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False)


@given(TEXTS | NUMBERS | st.booleans() | st.dictionaries(TEXTS, TEXTS | NUMBERS | st.none()))
def test_what_is_encoded_is_decoded(value: Any) -> None:
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        file.attrs["it"] = hdf5.encode(value)
        found = hdf5.decode(file.attrs["it"])
    assert found == value
    assert type(found) is type(value)


def test_texts_come_back_as_a_list_and_arrays_as_they_were(tmp_path: Path) -> None:
    with hdf5.creating(tmp_path / "a.h5") as (file, _):
        hdf5.fill(file, {"coords": COORDS, "paths": ["ü", ""], "none": []})
        hdf5.describe(file, BARE, tmp_path / "a.h5")
    with hdf5.opening(tmp_path / "a.h5") as file:
        assert hdf5.is_ours(file)
        assert hdf5.array_of(file["paths"], tmp_path / "a.h5") == ["ü", ""]
        assert hdf5.array_of(file["none"], tmp_path / "a.h5") == []
        np.testing.assert_array_equal(hdf5.array_of(file["coords"], tmp_path / "a.h5"), COORDS)


def test_another_tools_file_is_not_ours(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["features"] = np.zeros((2, 3))
    with hdf5.opening(tmp_path / "a.h5") as file:
        assert not hdf5.is_ours(file)


def test_a_file_is_there_only_when_its_block_ends_well(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hdf5.creating(tmp_path / "a.h5"):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_anothers_lock_does_not_keep_us_out(tmp_path: Path) -> None:
    store.write(tmp_path / "a.h5", {"coords": COORDS}, BARE)
    with (tmp_path / "a.h5").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="unable to lock file"):
            h5py.File(tmp_path / "a.h5", "r", locking=True)
        with hdf5.opening(tmp_path / "a.h5") as file:
            assert len(file["coords"]) == 3


def test_what_is_missing_or_no_hdf5_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match=r"a\.h5: there is no such file"),
        hdf5.opening(tmp_path / "a.h5"),
    ):
        pass
    (tmp_path / "a.h5").write_text("text")
    with (
        pytest.raises(StoreError, match=r"a\.h5: not an HDF5 file"),
        hdf5.opening(tmp_path / "a.h5"),
    ):
        pass


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("[1]", "[1]"),  # a text that looks like JSON stays a text
        ('"', '"'),
        ("", ""),
        (True, True),
        (3, 3),
        (0.1, 0.1),
        ((1, 2, 3, 4), (1, 2, 3, 4)),
        ([], []),
        ({"a": (1, None)}, {"a": [1, None]}),
        (Path("/a/b"), "/a/b"),
        (np.float32(0.5), 0.5),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
    ],
)
def test_attributes_come_back(tmp_path: Path, value: Any, stored: Any) -> None:
    store.write(tmp_path / "a.h5", {}, {"it": value})
    found = store.attributes(tmp_path / "a.h5")["it"]
    assert found == stored
    assert type(found) is type(stored)


def test_the_recipe_is_json_that_anyone_can_read(tmp_path: Path) -> None:
    store.write(tmp_path / "a.h5", {}, BARE)
    with h5py.File(tmp_path / "a.h5", "r") as file:
        assert json.loads(file.attrs["histocnn_recipe"]) == GRID["recipe"]
        assert tuple(file.attrs["histocnn_size_l0"]) == (1000, 2000)


def test_a_users_zip_is_to_be_unzipped(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "patches.zip", "w") as archive:
        archive.writestr("tumour/1.png", b"")
    with (
        pytest.raises(StoreError, match=r"patches\.zip: a zip archive.* Unzip it") as caught,
        hdf5.opening(tmp_path / "patches.zip"),
    ):
        pass
    assert "elete" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"II*\0 a TIFF", b"PK in a text"])
def test_a_users_file_is_called_no_hdf5_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "scan.tif").write_bytes(content)
    with (
        pytest.raises(StoreError, match=r"scan\.tif: not an HDF5 file\. Give what"),
        hdf5.opening(tmp_path / "scan.tif"),
    ):
        pass


def test_a_file_cut_short_is_made_again_by_its_stage(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    store.write(path, {"labels": np.arange(1000)}, {"recipe": {}})
    path.write_bytes(path.read_bytes()[:-100])
    with (
        pytest.raises(StoreError, match=r"a\.h5: not a whole HDF5 file \(.*Copy it again, or run"),
        hdf5.opening(path),
    ):
        pass
    assert store.differences(path, {}) is None  # as the remedy says: the stage makes it again


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"), hdf5.opening(tmp_path):
        pass


def test_there_is_one_place_where_files_are_opened() -> None:
    package = Path(hdf5.__file__).parents[1]
    calls = {
        str(path.relative_to(package)): len(found)
        for path in package.rglob("*.py")
        if (found := re.findall(r"h5py\.(?:File|h5f\.open)\(", path.read_text(encoding="utf-8")))
    }
    assert calls == {"storage/hdf5.py": 2}  # opening and creating
