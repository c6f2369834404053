"""The page of inspect in a real browser: no request, no complaint, every picture there."""

from __future__ import annotations

from pathlib import Path

import pytest

from histocnn.inspection.inspect_page import MOST_BYTES
from histocnn.stages.inspect import inspect
from tests.browser.conftest import Viewer
from tests.inspection.looked import SLIDING, sliding_model, tiled

pytestmark = pytest.mark.browser


def test_the_page_asks_for_nothing_and_shows_everything(viewer: Viewer, tmp_path: Path) -> None:
    grid, slides = tiled(tmp_path)
    sliding_model(tmp_path)
    model = tmp_path / "sliding.safetensors"
    out = tmp_path / "out"
    inspect(out, model=model, backbone=SLIDING, patches=grid, slides=slides, slide="s1", steps=2)
    path = out / "inspect.html"
    assert path.stat().st_size < min(MOST_BYTES, 30_000_000)
    viewer.page.goto(path.as_uri())
    viewer.settle()
    assert viewer.complaints == []
    assert [url for url in viewer.requests if not url.startswith("data:")] == [path.as_uri()]
    sizes = viewer.page.evaluate("[...document.images].map(i => i.naturalWidth)")
    assert len(sizes) > 12
    assert min(sizes) > 0
    headings = viewer.page.locator("h2").all_inner_texts()
    assert headings == [
        "Architecture", "Filters of the first layer", "Effective receptive fields",
        "What excites channels", "Activations", "Class activation maps",
    ]  # fmt: skip
    width = viewer.page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewer.page.viewport_size["width"]
