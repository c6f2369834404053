"""The page of a run's folder in a real browser: thumbnails come as they come into sight."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from histocnn.pages.index import write_index
from tests.browser.conftest import Viewer
from tests.pages.test_index import folder_of, scores

pytestmark = pytest.mark.browser


def test_ten_thousand_slides_open_and_only_what_is_seen_is_loaded(
    viewer: Viewer, tmp_path: Path
) -> None:
    slides = {
        f"s{i:05d}": {"patches": 9, "slide_scores": scores(a=0.1, b=0.9)} for i in range(10_000)
    }
    folder = folder_of(tmp_path / "out", slides)
    for name in slides:
        Image.new("RGB", (40, 30), "pink").save(folder.heatmaps / f"{name}.png")
    path = write_index(folder, "Slides")
    viewer.page.goto(path.as_uri())
    viewer.settle()
    viewer.page.wait_for_function("document.images[0].complete")
    assert viewer.complaints == []
    asked = [url for url in viewer.requests if url.endswith(".png")]
    assert 4 <= len(asked) < 500
    assert viewer.page.evaluate("document.images[0].naturalWidth") == 40
    viewer.page.evaluate("document.querySelector('article:last-child').scrollIntoView()")
    last = "document.images[document.images.length - 1]"
    viewer.page.wait_for_function(f"{last}.complete && {last}.naturalWidth == 40")
    assert len([url for url in viewer.requests if url.endswith(".png")]) < 1500
