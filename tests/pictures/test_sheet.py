"""The frame of a picture: its pixels as they are, a scale bar, a key."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histocnn.pictures.sheet import (
    ColourBar,
    Entry,
    Key,
    length_text,
    scale_bar_um,
    sheet,
    write_sheet,
)

PICTURE = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)


BAR = ColourBar("viridis", "probability of tumour", np.linspace(0, 0.6, 256, dtype=np.float32))


@pytest.mark.parametrize(
    "key",
    [
        [],
        [Entry("tumour", (230, 159, 0)), Entry("pen", (0, 0, 0), "line")],
        [BAR, Entry("threshold", (0, 0, 0), "dotted"), Entry("new", (9, 9, 9), "hatched")],
    ],
    ids=["bare", "legend", "colour bar"],
)
def test_the_picture_is_in_its_sheet_pixel_for_pixel(key: Key) -> None:
    paper, place = sheet(PICTURE, title="s1", width_um=2000, key=key, note="by m")
    assert np.array_equal(paper[place], PICTURE)
    assert paper.shape[0] > 150 + 40  # title, scale bar, footnote
    assert (paper.shape[1] > 200 + 80) == bool(key)
    # The scale bar of 500 µm is a quarter of the 2000 µm: 50 px of black below the left edge.
    left, foot = place[1].start, place[0].stop
    below = paper[foot + 2 : foot + 20, left : left + 100].max(axis=2)
    assert (below < 30).sum(axis=1).max() == 50


def test_a_written_sheet_looks_like_it(tmp_path: Path) -> None:
    smooth = cv2.resize(PICTURE[:6, :8] // 4 + np.uint8([170, 90, 140]), (200, 150))
    write_sheet(smooth, tmp_path / "a.png", title="s1", width_um=2000, key=[BAR])
    paper, _ = sheet(smooth, title="s1", width_um=2000, key=[BAR])
    read = cv2.imread(str(tmp_path / "a.png"))[..., ::-1].astype(int)
    assert read.shape == paper.shape
    assert np.abs(read - paper).mean() < 2
    assert (read[[0, -1]] == 255).all()


def test_the_bar_is_as_pale_as_the_picture_and_marked_at_its_marks() -> None:
    """150 px of picture are 150 of bar; 0.5 lies at 75 from its end, over white as it is over
    tissue: 0.3 of viridis's middle.
    """
    key = [ColourBar("viridis", "p", BAR.opacity, marks=(0.25,))]
    paper, (rows, columns) = sheet(PICTURE, title="s1", width_um=2000, key=key)
    bar_px = columns.stop + 12 + 6  # beyond a margin, in its middle
    column = paper[:, bar_px].astype(int)
    black = np.flatnonzero(column.max(axis=1) < 30)
    frames = np.flatnonzero((column == 190).all(axis=1))
    top = frames[frames > rows.start][0] + 1
    assert abs(black.mean() + 0.5 - (top + 0.75 * 150)) <= 1
    assert column[top + 75] == pytest.approx(255 * 0.7 + np.array([33, 145, 140]) * 0.3, abs=3)


def test_a_long_title_and_a_tall_key_find_room() -> None:
    entries = [Entry(f"class {number}", (0, 0, 0)) for number in range(30)]
    paper, place = sheet(PICTURE, title="a" * 80, width_um=2000, key=entries)
    assert paper.shape[0] > 30 * 1.6 * 12
    assert paper.shape[1] > 80 * 7
    assert np.array_equal(paper[place], PICTURE)


@given(st.floats(1, 1e6))
def test_a_scale_bar_is_between_two_fifteenths_and_a_third(width_um: float) -> None:
    length = scale_bar_um(width_um)
    assert width_um / 7.51 <= length <= width_um / 3 * (1 + 1e-9)
    assert f"{length:e}"[0] in "125"


@pytest.mark.parametrize(
    ("width_um", "length_um", "text"),
    [(3000, 1000, "1 mm"), (2999, 500, "500 µm"), (7654, 2000, "2 mm"), (61, 20, "20 µm")],
)
def test_scale_bar_is_a_round_length_up_to_a_third(
    width_um: float, length_um: float, text: str
) -> None:
    assert scale_bar_um(width_um) == length_um
    assert length_text(length_um) == text


GROWTH = """
import gc
import numpy as np
from pathlib import Path
from histocnn.pictures.sheet import Entry, write_sheet
picture = np.zeros((2048, 2048, 3), np.uint8)
def write():
    write_sheet(picture, Path("a.png"), title="a", width_um=1000, key=[Entry("a", (9, 9, 9))])
def resident_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) // 1024
for _ in range(8):
    write()  # malloc keeps, once, what it has learnt to keep
gc.collect()
gc.disable()
before = resident_mb()
for _ in range(3):
    write()
print(resident_mb() - before)
"""


def test_a_written_sheet_leaves_no_pixels_in_memory(tmp_path: Path) -> None:
    """In a process of its own: what other tests leave and give back would count, too."""
    command = [sys.executable, "-c", GROWTH]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 30  # a sheet's canvas and renderer take 35 MB
