"""What could be read for ever is not begun."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from histocnn.errors import StoreError
from histocnn.stages.evaluate import evaluate
from histocnn.storage.ordinary import check_may_be_folder, check_ordinary


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


def test_a_folder_to_be_is_no_file_and_lies_in_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_may_be_folder(tmp_path / "new" / "er")
    for out in (tmp_path / "file", tmp_path / "file" / "er"):
        with pytest.raises(StoreError, match="file is a file"):
            check_may_be_folder(out)


def test_an_evaluation_into_a_file_is_refused_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file is a file"):
        evaluate(tmp_path / "there are no scores", tmp_path / "file")
