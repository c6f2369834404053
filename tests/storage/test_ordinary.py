"""What could be read for ever is not begun."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from histocnn.errors import StoreError
from histocnn.storage.ordinary import check_ordinary


def test_only_a_file_on_disk_can_be_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    check_ordinary(tmp_path / "file")
    check_ordinary(tmp_path / "link")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
        with pytest.raises(StoreError, match=f"{path}: cannot be read, because it is no ordinary"):
            check_ordinary(path)
    with pytest.raises(FileNotFoundError):
        check_ordinary(tmp_path / "gone")
