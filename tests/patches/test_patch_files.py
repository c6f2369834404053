"""Patches as image files: a folder that is whole, or the one that was there before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from histocnn.errors import StoreError
from histocnn.patches.images import read_image
from histocnn.patches.patch_files import write_patch_folder

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
    write_patch_folder(tmp_path / "s1", [("old.png", RED)])
    write_patch_folder(tmp_path / "s1", [("new.png", RED)])
    assert [p.name for p in tmp_path.rglob("*.png")] == ["new.png"]


def test_what_ends_in_the_middle_leaves_the_old_folder(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[str, Pixels | None]]:
        yield "new.png", BLUE
        raise KeyboardInterrupt

    write_patch_folder(tmp_path / "s1", [("old.png", RED)])
    with pytest.raises(KeyboardInterrupt):
        write_patch_folder(tmp_path / "s1", broken())
    assert [p.name for p in tmp_path.iterdir()] == ["s1"]
    assert [p.name for p in (tmp_path / "s1").iterdir()] == ["old.png"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/s1: cannot write the patches \(Not a directory\)"):
        write_patch_folder(tmp_path / "file" / "s1", [("1.png", RED)])
