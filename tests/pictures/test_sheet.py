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

from histocnn.pictures.sheet import ColourBar, Entry, length_text, scale_bar_um, write_sheet

PICTURE = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)


def place_of(picture: np.ndarray, sheet: np.ndarray) -> tuple[int, int] | None:
    """Where (x, y) a picture lies in a sheet, pixel for pixel, but for the frame's line."""
    inner = picture[3:-3, 3:-3].astype(np.float32)
    apart = cv2.matchTemplate(sheet.astype(np.float32), inner, cv2.TM_SQDIFF)
    _, _, (x, y), _ = cv2.minMaxLoc(apart)
    exact = np.array_equal(
        sheet[y : y + inner.shape[0], x : x + inner.shape[1]], picture[3:-3, 3:-3]
    )
    return (x - 3, y - 3) if exact else None


@pytest.mark.parametrize(
    "key",
    [
        None,
        [Entry("tumour", (230, 159, 0)), Entry("pen", (0, 0, 0), "line")],
        ColourBar("viridis", "probability of tumour"),
    ],
    ids=["bare", "legend", "colour bar"],
)
def test_the_picture_is_in_its_sheet_pixel_for_pixel(
    tmp_path: Path, key: list[Entry] | ColourBar | None
) -> None:
    write_sheet(PICTURE, tmp_path / "a.png", title="s1", width_um=2000, key=key, note="by m")
    sheet = cv2.imread(str(tmp_path / "a.png"))[..., ::-1]
    place = place_of(PICTURE, sheet)
    assert place is not None
    assert sheet.shape[0] > 150 + 40  # title, scale bar, footnote
    assert (sheet.shape[1] > 200 + 80) == (key is not None)
    # The scale bar of 500 µm is a quarter of the 2000 µm: 50 px of black below the left edge.
    x, y = place
    below = sheet[y + 152 : y + 170, x : x + 100].max(axis=(2))
    assert (below < 30).sum(axis=1).max() == pytest.approx(50, abs=1)


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
write()
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
