"""Whole files or none, and whose temporary files may be swept."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from histocnn.errors import StoreError
from histocnn.storage.atomic import check_writable, replacing, sweep, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_target_changes_at_once_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    write_text(target, "old")
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
        assert list(target.parent.glob("*.txt")) == [target]  # not taken for a result
    assert target.read_text() == "new"
    assert names(target.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError(5, "no slide", "a.svs")])
def test_an_error_leaves_the_old_file_and_passes(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(BaseException) as caught, replacing(target) as temporary:  # noqa: PT011, PT012
        temporary.write_text("half")
        raise error
    assert not isinstance(caught.value, StoreError)  # an error of reading is not one of writing
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_two_writers_of_one_target_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with replacing(target) as first, replacing(target) as second:
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"


@pytest.mark.parametrize("folder", ["/proc/histocnn/out", "in the way/out"])
def test_a_folder_that_takes_no_file_is_one_line(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in the way").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match=r"cannot be written .*Set --out") as caught:
        check_writable(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_check_writable_makes_the_folder_and_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []


def test_sweep_takes_only_what_dead_processes_left(tmp_path: Path) -> None:
    script = (
        "import sys, os, signal\n"
        "from histocnn.storage.atomic import replacing\n"
        "with replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "dead.h5"], check=False)
    (left,) = tmp_path.iterdir()
    (tmp_path / ".mine.tmp").write_text("not one of ours")
    (tmp_path / "a.h5").write_text("a result")
    with replacing(tmp_path / "alive.h5") as alive:
        alive.write_text("half")
        assert sweep(tmp_path) == [left]
        assert alive.exists()
    assert names(tmp_path) == [".mine.tmp", "a.h5", "alive.h5"]


def test_a_dead_process_that_nobody_waited_for_is_dead(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
        path = tmp_path / f".a.h5.{socket.gethostname()}.{process.pid}-0.tmp"
        path.touch()
        assert sweep(tmp_path) == [path]


def test_sweep_leaves_another_machines_file_for_a_day(tmp_path: Path) -> None:
    path = tmp_path / ".a.h5.elsewhere.999999-0.tmp"
    path.write_text("half")
    assert sweep(tmp_path) == []
    os.utime(path, (0, 0))
    assert sweep(tmp_path) == [path]


def test_a_file_has_the_mode_of_the_umask_whoever_wrote_it(tmp_path: Path) -> None:
    def private(path: str, flags: int) -> int:
        return os.open(path, flags, mode=0o600)

    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "a") as temporary, open(temporary, "w", opener=private) as file:
            file.write("as safetensors does")
        write_text(tmp_path / "b", "ours")
    finally:
        os.umask(before)
    assert [oct(path.stat().st_mode & 0o777) for path in sorted(tmp_path.iterdir())] == [
        "0o640"
    ] * 2


def test_the_probe_leaves_a_users_file_of_its_name(tmp_path: Path) -> None:
    (tmp_path / ".writable").write_text("mine")
    check_writable(tmp_path)
    assert (tmp_path / ".writable").read_text() == "mine"


LIMITED = """
import resource, signal, sys
import numpy as np
from histocnn.errors import StoreError
from histocnn.storage import store
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    store.write(sys.argv[1], {"features": np.zeros((1000, 100))}, {})
except StoreError as error:
    print(error)
"""


def test_a_limit_of_file_size_is_not_a_full_disk(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, tmp_path / "a.h5"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "a.h5: is larger than a file may be here (File too large). Raise the limit" in said
    assert names(tmp_path) == []
