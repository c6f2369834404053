"""The viewer's file: whole, small, silent. What it does in a browser: tests/browser."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import pytest
import shapely

from histocnn.errors import StoreError
from histocnn.pages.viewer import write_viewer
from histocnn.patches.grid import build_grid
from histocnn.pictures.heat import View
from histocnn.scores.scored import ScoredSlide
from tests.score_files import random_scores

OVERVIEW = np.full((300, 400, 3), 255, np.uint8)


def scored(names: tuple[str, ...] = ("normal", "tumour")) -> ScoredSlide:
    grid = build_grid((4000, 3000), (0.5, 0.5), patch_px=256, mpp=0.5, overlap_px=64)
    return ScoredSlide("a", grid, random_scores(len(grid), len(names)), names)


def test_the_page_fetches_nothing_and_is_forbidden_to(tmp_path: Path) -> None:
    write_viewer(View(scored(), OVERVIEW), OVERVIEW, tmp_path / "a.html")
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
    write_viewer(View(scored(names), OVERVIEW), OVERVIEW, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    assert "<script>alert(1)" not in page
    assert "&lt;img src=x onerror=alert(2)&gt;" in page


def test_names_of_labels_and_annotations_cannot_either(tmp_path: Path) -> None:
    slide, bad = scored(), "<script>alert(1)</script>"
    labels = np.zeros(len(slide.grid), np.int64)
    told = replace(slide, labels=labels, label_names=(bad,))
    view = View(told, OVERVIEW, annotations={bad: shapely.box(0, 0, 500, 500)})
    write_viewer(view, OVERVIEW, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    assert "<script>alert(1)" not in page
    assert page.count("&amp;lt;script&amp;gt;alert(1)") >= 2  # and escaped once more as JSON


def test_the_heading_warns_of_what_the_reference_does_not_cover(tmp_path: Path) -> None:
    said = "knn on 2 reference files · the reference does not cover this slide: do not trust"
    slide = replace(scored(), origin=said)
    write_viewer(View(slide, OVERVIEW), OVERVIEW, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    warned = "<b>the reference does not cover this slide: do not trust</b>"
    assert escape(warned) in page  # as JSON in a script element


def test_a_folder_that_is_not_there_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--out"):
        write_viewer(View(scored(), OVERVIEW), OVERVIEW, tmp_path / "file" / "a.html")
