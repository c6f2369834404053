"""Batches begun before they are asked for: the same ones and errors, and nothing left open."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import PatchesError
from histocnn.patches.begun import Begun
from histocnn.patches.patches import FilePatches
from histocnn.slides.stream import Batch
from tests.grid_files import write_grid

ALL = range(12)


def batches(patches: FilePatches) -> Generator[Batch, None, None]:
    return patches.pixels.batches(4, 2, ALL, None)


def held() -> tuple[int, list[str]]:
    """Open descriptors, and the threads of readers."""
    names = [each.name for each in threading.enumerate()]
    return len(list(Path("/proc/self/fd").iterdir())), [
        n for n in names if n.startswith(("tiles", "begun"))
    ]


def test_all_batches_come_once_and_in_order(tmp_path: Path) -> None:
    patches = FilePatches(write_grid(tmp_path))
    found, expected = list(Begun(batches(patches)).batches()), list(batches(patches))
    assert [each.rows.tolist() for each in found] == [list(ALL[i : i + 4]) for i in (0, 4, 8)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_its_first_batch_is_read_before_anybody_asks(tmp_path: Path) -> None:
    read = threading.Event()

    def telling() -> Generator[Batch, None, None]:
        for batch in batches(FilePatches(write_grid(tmp_path))):
            read.set()
            yield batch

    begun = Begun(telling())
    assert read.wait(60)
    begun.close()


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_whoever_stops_early_leaves_no_thread_and_no_file(tmp_path: Path, wanted: int) -> None:
    patches = FilePatches(write_grid(tmp_path))
    before = held()
    begun = Begun(batches(patches))
    taken = begun.batches()
    for _ in range(wanted):
        next(taken)
    taken.close() if wanted else begun.close()
    patches.close()
    assert held() == before


def test_an_error_of_opening_is_raised_by_who_takes_it_over(tmp_path: Path) -> None:
    patches = FilePatches(write_grid(tmp_path))
    (tmp_path / "slides" / "s1.tiff").unlink()
    before = held()
    begun = Begun(batches(patches))
    with pytest.raises(PatchesError, match=r"s1\.tiff is not there"):
        next(begun.batches())
    Begun(batches(patches)).close()  # what nobody takes over nobody hears of
    assert held() == before
