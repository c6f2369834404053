from __future__ import annotations

import errno
import os

import pytest

from histocnn.searching import journal_file
from histocnn.searching.journal_file import Touching, WholeLines


def test_lines_stand_behind_the_last_whole_one(tmp_path):
    path = tmp_path / "journal.log"
    path.write_bytes(b'{"a": 1}\n{"b":')
    journal = WholeLines(path)
    journal.append_logs([{"c": 3}, {"d": 4}])
    assert path.read_text() == '{"a": 1}\n{"c": 3}\n{"d": 4}\n'
    assert list(journal.read_logs(1)) == [{"c": 3}, {"d": 4}]
    assert os.listdir(tmp_path) == ["journal.log"]  # no lock is left  # noqa: PTH208


def test_what_a_full_disk_does_not_take_is_not_there_by_half(tmp_path, monkeypatch):
    path = tmp_path / "journal.log"
    journal = WholeLines(path)
    journal.append_logs([{"a": 1}])

    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("histocnn.searching.journal_file.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        journal.append_logs([{"b": 2}])
    assert path.read_text() == '{"a": 1}\n'


def test_a_file_is_touched_as_long_as_the_work_lasts(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_file, "TOUCH_S", 0.01)
    path = tmp_path / "trial" / "alive"
    with Touching(path):
        os.utime(path, (0, 0))
        for _ in range(500):
            if path.stat().st_mtime > 0:
                break
            journal_file.threading.Event().wait(0.01)
        assert path.stat().st_mtime > 0
    os.utime(path, (0, 0))
    journal_file.threading.Event().wait(0.05)
    assert path.stat().st_mtime == 0
