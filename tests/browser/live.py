"""The live viewer in a real browser: it can be asked where things are, and what it looks like."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from histocnn.viewing.at_work import Viewing
from tests.browser.conftest import overheard
from tests.viewing.serving import Client, serving

# A page whose content security policy forbids eval: Playwright's wait_for_function cannot be used.
SETTLED = """() => {
  const {state, tiles, layer} = window.histocnn ?? {}
  return !!state?.facts && state.whole && tiles.flying.size == 0 && (!layer.facts || !!layer.values)
}"""


@dataclass
class Live:
    """A page of a viewer."""

    page: Any
    client: Client
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, place: str = "") -> Live:
        self.page.goto(self.client.address + place)
        self.settle()
        return self

    def wait(self, what: str, seconds: float = 30) -> None:
        """Until an expression is true."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(what):
            assert time.monotonic() < end, f"never: {what}"
            time.sleep(0.02)

    def settle(self) -> None:
        """Until everything is there and drawn: two frames."""
        self.page.evaluate("window.histocnn && (histocnn.draw(), 0)")
        self.wait(f"({SETTLED})()")
        frames = "() => new Promise(d => requestAnimationFrame(() => requestAnimationFrame(d)))"
        self.page.evaluate(frames)

    def go(self, x: float, y: float, scale: float) -> None:
        """A level-0 point to the middle, at so many screen pixels per pixel of the frame."""
        self.page.evaluate(
            """([x, y, scale]) => {
              const {view, draw} = window.histocnn
              view.scale = scale
              view.go([x, y])
              draw()
            }""",
            [x, y, scale],
        )
        self.settle()

    def choose(self, layer: str) -> None:
        """The layer of a name such as 0.classes; "": none."""
        self.page.evaluate("(name) => histocnn.choose(name)", layer)
        self.settle()

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Where a level-0 point is on the canvas."""
        left, top = self.page.evaluate("(point) => histocnn.view.point(point)", [x, y])
        return left, top

    def pixels(self) -> NDArray[np.int64]:
        """The slide as it looks, [h, w, 3]; the corner of the small map and the scale bar aside."""
        self.page.evaluate("document.getElementById('map').hidden = true")
        shot = self.page.locator("#slide").screenshot()
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(np.int64)

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).inner_text())


@contextmanager
def living(
    chromium: Any, viewing: Viewing, size: Sequence[int] = (1440, 900), **page: Any
) -> Iterator[Live]:
    """Serve, and look at it."""
    with serving(viewing) as client, overheard(chromium, size, **page) as heard:
        opened, requests, complaints = heard
        yield Live(opened, client, requests, complaints)
