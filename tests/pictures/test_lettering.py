"""Words where they should be, and PNGs that look like what was drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.errors import StoreError
from histocnn.pictures.lettering import Words, fitted, short, write_png, write_words


def test_words_stand_where_they_were_put_and_as_wide_as_they_say() -> None:
    words = Words(30, 40, "µm × Grüße", 20)
    written = write_words(np.full((100, 300, 3), 255, np.uint8), [words])
    rows, columns = np.nonzero(written.min(axis=2) < 128)
    assert 40 <= rows.min() < rows.max() <= 40 + 1.3 * 20
    assert columns.min() == pytest.approx(30, abs=4)
    assert columns.max() == pytest.approx(30 + words.width_px, abs=4)


def test_a_png_has_the_drawn_colours_within_a_few_levels(tmp_path: Path) -> None:
    """Four colours on white paper: few enough for each to be kept."""
    paper = np.full((90, 120, 3), 255, np.uint8)
    inner = slice(20, 60), slice(30, 110)
    paper[20:40, 30:110] = (213, 94, 0)
    paper[40:60, 30:70] = (190, 130, 170)
    paper[40:60, 70:110] = (245, 244, 247)
    write_png(paper, tmp_path / "a.png", inner)
    read = cv2.imread(str(tmp_path / "a.png"))[..., ::-1]
    assert (read[:20] == 255).all()
    assert np.abs(read.astype(int) - paper).max() <= 1
    with pytest.raises(StoreError):
        write_png(paper, tmp_path / "a.png" / "b.png")


def test_glass_does_not_colour_the_paper_around(tmp_path: Path) -> None:
    paper = np.full((200, 200, 3), 255, np.uint8)
    rng = np.random.default_rng(0)
    paper[20:180, 20:180] = rng.integers(225, 250, (160, 160, 3))
    write_png(paper, tmp_path / "a.png", (slice(20, 180), slice(20, 180)))
    read = cv2.imread(str(tmp_path / "a.png"))[..., ::-1]
    assert (read[:20] == 255).all()
    assert np.abs(read.astype(int) - paper).mean() < 8


def test_what_is_drawn_around_keeps_its_colours_however_little_it_is(tmp_path: Path) -> None:
    """A thin frame beside an area of nearly its colour, and a ramp from white, as legends have."""
    paper = np.full((600, 900, 3), 255, np.uint8)
    paper[100:102, 820:880] = (213, 94, 0)
    paper[200:500, 820:880] = (230, 159, 0)
    paper[510:540, 620:876] = np.linspace(255, 100, 256)[:, None]
    write_png(paper, tmp_path / "a.png", (slice(20, 580), slice(20, 600)))
    read = cv2.imread(str(tmp_path / "a.png"))[..., ::-1].astype(int)
    assert np.abs(read[100:102, 820:880] - (213, 94, 0)).max() <= 3
    assert np.abs(read[200:500, 820:880] - (230, 159, 0)).max() <= 3
    ramp = np.abs(read - paper)[510:540, 620:876]
    assert ramp.max() <= 9
    assert ramp.mean() <= 4


def test_long_names_lose_their_middle() -> None:
    assert short("x" * 30) == "x" * 30
    name = short("TCGA-AA-1234-01Z-00-DX1.0123456789abcdef")
    assert len(name) == 30
    assert name.startswith("TCGA-AA-")
    assert name.endswith("abcdef")
    assert short("x" * 25, 24) == "x" * 11 + "…" + "x" * 12


@pytest.mark.parametrize("text", ["12900_idx5_x1301_y901_class0.png", "W" * 60, "i" * 40])
def test_what_is_fitted_leaves_the_place_beside_it_free(text: str) -> None:
    said = fitted(text, 11.5, 150)
    assert 130 < Words(0, 0, said, 11.5).width_px <= 150
    assert said[0] + said[-1] == text[0] + text[-1]
    assert fitted("x 950, y 950", 11.5, 150) == "x 950, y 950"
