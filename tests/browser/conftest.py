"""Chromium without a network, and pages that tell what they asked for and complained about."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# From level 0 to the window: where the pointer must go to be over a point of the slide.
TO_WINDOW = """([x, y]) => {
  const view = Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name("slide"))
  const canvas = view.canvas_view.el.getBoundingClientRect()
  const {frame} = view
  return [canvas.left + frame.x_scale.compute(x), canvas.top + frame.y_scale.compute(y)]
}"""

FRAME = """() => {
  const view = Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name("slide"))
  const canvas = view.canvas_view.el.getBoundingClientRect()
  const {left, top, right, bottom} = view.frame.bbox
  const place = [canvas.left + left, canvas.top + top, canvas.left + right, canvas.top + bottom]
  return place.map(Math.round)
}"""


@dataclass
class Viewer:
    """A viewer opened from disk."""

    page: Any
    requests: list[str]
    complaints: list[str]

    def open(self, path: Path) -> Viewer:
        self.page.goto(path.as_uri())
        self.page.wait_for_function(
            "window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle"
        )
        self.settle()
        return self

    def settle(self) -> None:
        """Let the page paint what it was told to: two frames."""
        frames = "() => new Promise(d => requestAnimationFrame(() => requestAnimationFrame(d)))"
        self.page.evaluate(frames)

    def window(self, x: float, y: float) -> tuple[float, float]:
        """Where a level-0 point is in the window."""
        left, top = self.page.evaluate(TO_WINDOW, [float(x), float(y)])
        return left, top

    def point(self, x: float, y: float) -> str:
        """Move the pointer over a level-0 point; returns what the page says of it."""
        self.page.mouse.move(*self.window(x, y))
        self.settle()
        return str(self.page.locator(".bk-clearfix").last.inner_text())

    def choose(self, layer: str) -> None:
        """Choose the layer whose name begins so."""
        select = self.page.get_by_role("combobox")
        names = select.locator("option").all_inner_texts()
        select.select_option(label=next(name for name in names if name.startswith(layer)))
        self.settle()

    def frame(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the axes in the window."""
        left, top, right, bottom = self.page.evaluate(FRAME)
        return left, top, right, bottom

    def pixels(self) -> np.ndarray:
        """The picture inside its axes as it looks, [h, w, 3], two pixels of each side left out."""
        left, top, right, bottom = self.frame()
        shot = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        return np.asarray(shot).astype(int)[top + 2 : bottom - 2, left + 2 : right - 2]


@contextmanager
def overheard(
    chromium: Any, size: Sequence[int], **page_options: Any
) -> Iterator[tuple[Any, list[str], list[str]]]:
    """A page, what it asks for and what it complains about."""
    viewport = {"width": size[0], "height": size[1]}
    page = chromium.new_page(viewport=viewport, **page_options)
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))

    def listen(message: Any) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    page.on("console", listen)
    try:
        yield page, requests, complaints
    finally:
        page.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as session:
        browser = session.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def viewer(chromium: Any) -> Iterator[Viewer]:
    with overheard(chromium, (1440, 960)) as (page, requests, complaints):
        yield Viewer(page, requests, complaints)
