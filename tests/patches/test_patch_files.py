"""Patches as image files: a folder that is whole, or the one that was there before."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from histocnn.errors import StoreError
from histocnn.patches.images import read_image
from histocnn.patches.patch_files import write_patch_folder
from histocnn.storage.atomic import sweep

Pixels = NDArray[np.uint8]
RED, BLUE = np.full((8, 8, 3), (200, 10, 20), np.uint8), np.full((8, 8, 3), (10, 20, 200), np.uint8)


def test_patches_lie_below_the_folder_and_the_unreadable_are_counted(tmp_path: Path) -> None:
    patches = [("tumour/1.png", RED), ("2.png", BLUE), ("3.png", None), ("4.jpeg", BLUE)]
    assert write_patch_folder(tmp_path / "s1", patches) == 1
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")) == [
        "s1/2.png", "s1/4.jpeg", "s1/tumour/1.png",
    ]  # fmt: skip
    np.testing.assert_array_equal(read_image(tmp_path / "s1/tumour/1.png"), RED)
    assert np.abs(read_image(tmp_path / "s1/4.jpeg").astype(int) - BLUE).max() < 8


def test_the_new_folder_takes_the_old_ones_place_whole(tmp_path: Path) -> None:
    write_patch_folder(tmp_path / "s1", [("a/s1_x0_y0.png", RED)])
    write_patch_folder(tmp_path / "s1", [("a/s1_x8_y0.png", RED)])
    assert [p.name for p in tmp_path.rglob("*.png")] == ["s1_x8_y0.png"]


def test_what_ends_in_the_middle_leaves_the_old_folder(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[str, Pixels | None]]:
        yield "new.png", BLUE
        raise KeyboardInterrupt

    write_patch_folder(tmp_path / "s1", [("s1_x0_y0.png", RED)])
    with pytest.raises(KeyboardInterrupt):
        write_patch_folder(tmp_path / "s1", broken())
    assert [p.name for p in tmp_path.iterdir()] == ["s1"]
    assert [p.name for p in (tmp_path / "s1").iterdir()] == ["s1_x0_y0.png"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/s1: cannot write the patches \(Not a directory\)"):
        write_patch_folder(tmp_path / "file" / "s1", [("1.png", RED)])


@pytest.mark.parametrize("stray", ["Index.dat", "tumour/notes.txt", "tumour/s2_x0_y0.png"])
def test_a_folder_that_no_export_wrote_stays(tmp_path: Path, stray: str) -> None:
    write_patch_folder(tmp_path / "s1", [("tumour/s1_x0_y0.png", RED)])
    (tmp_path / "s1" / stray).write_text("a scanner's data")
    with pytest.raises(StoreError, match=f"s1: is to be replaced by patches, but .*{stray}"):
        write_patch_folder(tmp_path / "s1", [("tumour/s1_x8_y0.png", RED)])
    assert (tmp_path / "s1" / stray).read_text() == "a scanner's data"
    assert [p.name for p in tmp_path.iterdir()] == ["s1"]


def test_a_link_to_a_folder_stays_and_so_does_what_it_leads_to(tmp_path: Path) -> None:
    write_patch_folder(tmp_path / "elsewhere" / "s1", [("s1_x0_y0.png", RED)])
    (tmp_path / "s1").symlink_to(tmp_path / "elsewhere" / "s1")
    with pytest.raises(StoreError, match="is none that histocnn wrote"):
        write_patch_folder(tmp_path / "s1", [("s1_x8_y0.png", RED)])
    assert (tmp_path / "elsewhere" / "s1" / "s1_x0_y0.png").exists()


SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from histocnn.patches.patch_files import write_patch_folder
folder, how = Path(sys.argv[1]), sys.argv[2]
def patches(turn=0):
    for i in range(4):
        yield f"{i}/s1_x{i}_y{turn}.png", np.zeros((8, 8, 3), np.uint8)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
for turn in range(60):
    write_patch_folder(folder, patches(turn))
"""


def start(folder: Path, how: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, folder, how], stderr=subprocess.PIPE)


def test_three_processes_that_export_at_once_do_no_harm(tmp_path: Path) -> None:
    everyone = [start(tmp_path / "s1", "whole") for _ in range(3)]
    for process in everyone:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    assert [p.name for p in tmp_path.iterdir()] == ["s1"]
    assert sorted(p.name for p in tmp_path.rglob("*.png")) == [f"s1_x{i}_y59.png" for i in range(4)]


def test_what_a_killed_export_left_is_swept(tmp_path: Path) -> None:
    killed = start(tmp_path / "s1", "killed")
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert len(list(left.rglob("*.png"))) == 4
    assert sweep(tmp_path) == [left]
    assert not list(tmp_path.iterdir())
