"""The viewer's file: whole, small, silent. What it does in a browser: tests/browser."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import StoreError
from histocnn.pages.viewer import write_viewer
from histocnn.patches.grid import build_grid
from histocnn.scores.scored import ScoredSlide
from tests.score_files import random_scores

OVERVIEW = np.full((300, 400, 3), 255, np.uint8)


def scored(names: tuple[str, ...] = ("normal", "tumour")) -> ScoredSlide:
    grid = build_grid((4000, 3000), (0.5, 0.5), patch_px=256, mpp=0.5, overlap_px=64)
    return ScoredSlide("a", grid, random_scores(len(grid), len(names)), names)


def test_the_page_fetches_nothing_and_is_forbidden_to(tmp_path: Path) -> None:
    write_viewer(scored(), OVERVIEW, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    assert "default-src 'none'" in page
    html = re.sub(
        r"<script[^>]*>.*?</script>", lambda found: found[0].split(">")[0], page, flags=re.S
    )
    assert not re.search(r"(src|href)\s*=|url\(|@import", html)
    assert "research use only" in page
    assert len(page) < 3e6


def test_names_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    names = ("</script><script>alert(1)</script>", "<img src=x onerror=alert(2)>")
    write_viewer(scored(names), OVERVIEW, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    assert "<script>alert(1)" not in page
    assert "&lt;img src=x onerror=alert(2)&gt;" in page


def test_the_same_scores_give_the_same_values(tmp_path: Path) -> None:
    """Scores travel as whole numbers of 1/65534: the largest error is half of that."""
    from histocnn.pages.viewer import _NOT_SCORED, _steps

    values = np.array([0, 1, 0.5, np.nan, 1 / 3], np.float32)
    steps = _steps(values)
    assert steps.tolist() == [0, 65534, 32767, _NOT_SCORED, 21845]


def test_a_folder_that_is_not_there_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--out"):
        write_viewer(scored(), OVERVIEW, tmp_path / "file" / "a.html")
