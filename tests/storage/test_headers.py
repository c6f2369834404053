"""Attributes as they are stored are what HDF5 reads, in both of its forms of headers."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from histocnn.storage.headers import Raw, attributes

VALUES = {
    "one": np.int64(7),
    "rows of numbers": np.arange(5, dtype=np.float32),
    "ü": np.bytes_("fixed"),
    "long": np.arange(300, dtype=np.int64),
}


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("userblock", [0, 512])
@pytest.mark.parametrize("ordered", [False, True])
def test_stored_is_what_hdf5_reads(
    tmp_path: Path, libver: str, userblock: int, ordered: bool
) -> None:
    path = tmp_path / "a.h5"
    more: dict[str, Any] = {"libver": libver, "userblock_size": userblock}
    with h5py.File(path, "w", **more) as file:
        file.create_dataset("x", data=1, track_order=ordered)
        for name, value in VALUES.items():  # so many that the header goes on elsewhere
            file["x"].attrs[name] = value
    with h5py.File(path) as file, Raw(path, userblock) as raw:
        stored = attributes(raw, h5py.h5o.get_info(file["x"].id).addr)
        assert set(stored) == set(file["x"].attrs) == set(VALUES)
        for name, value in VALUES.items():
            [found] = stored[name]
            assert found.startswith(np.asarray(value).tobytes())
            assert len(found) - np.asarray(value).nbytes < 8


def test_blocks_that_lead_to_each_other_end(tmp_path: Path) -> None:
    continued = struct.pack("<HHBxxxQQ", 0x10, 16, 0, 16, 24)  # to itself
    header = struct.pack("<BxHII4x", 1, 1, 1, 24) + continued
    (tmp_path / "a").write_bytes(header)
    with Raw(tmp_path / "a") as raw, pytest.raises(ValueError, match="longer than the file"):
        attributes(raw, 0)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        struct.pack("<BxHII4x", 1, 1, 1, 999),
        struct.pack("<BxHII4x", 1, 1, 1, 12) + struct.pack("<HHBxxxI", 0x10, 4, 0, 0),
        struct.pack("<BxHII4x", 1, 1, 1, 12) + struct.pack("<HHBxxxI", 0x0C, 4, 0, 0),
        b"OHDR\2\0",
    ],
    ids=["empty", "long", "continuation", "attribute", "newer"],
)
def test_no_header_is_said(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "a").write_bytes(header)
    with Raw(tmp_path / "a") as raw, pytest.raises(ValueError, match=r"outside|too early|longer"):
        attributes(raw, 0)
