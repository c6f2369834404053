"""How fast the live viewer is: first picture, tiles while panning, a new threshold.

    python benchmarks/view.py [--seconds 15]

A slide of 100,000 × 100,000 px, with phantom tissue where it is panned, is looked at in Chromium as
people do: `histocnn view` in a process of its own, a window of 1440 × 900. Nothing is warm: each
repeat starts the viewer anew.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from histocnn.patches.grid import build_grid
from histocnn.phantom.cohort import make_cohort
from histocnn.slides.slide import Slide
from tests.browser.conftest import FLAGS
from tests.score_files import write_scores
from tests.slide_files import write_sparse_pyramid

SIZE = 100_000
TISSUE_TILES = (150, 215)  # of level 0, both ways
CELLS_MPP = 0.5 * 100 / 32  # a patch of 32 px is 100 level-0 px: 1,000 × 1,000 cells

PAN = """async (seconds) => {
  const {view, tiles, draw} = window.histocnn
  const frame = () => new Promise((done) => requestAnimationFrame(done))
  view.scale = 1
  view.go([50000, 50000])
  draw()
  while (!window.histocnn.state.whole || tiles.flying.size) await frame()
  tiles.times.length = 0
  const [end, start] = [performance.now() + seconds * 1000, performance.now()]
  let frames = 0
  while (performance.now() < end) {
    view.pan(-12, -5)  // px a frame: two thirds of a window a second
    draw()
    await frame()
    frames++
  }
  return {times: tiles.times, frames: frames / ((performance.now() - start) / 1000)}
}"""

THRESHOLD = """async () => {
  const {panel, layer, choose} = window.histocnn
  await choose("0.s1")
  const frame = () => new Promise((done) => requestAnimationFrame(done))
  const times = []
  for (let step = 0; step < 21; step++) {
    await frame()
    const start = performance.now()
    panel.changed({least: 0.02 * (step + 1)})
    await frame()
    times.push(performance.now() - start)
  }
  return {cells: layer.values.length, times}
}"""


def large_slide(folder: Path) -> Path:
    make_cohort(folder / "phantom", slides=1, patients=1, labs=1, size_px=(2048, 2048))
    [path] = (folder / "phantom" / "slides").glob("*.tif")
    pixels = Slide(path).read((0, 0), 2048, 0.5)
    parts = [pixels[y : y + 256, x : x + 256] for y in range(512, 1536, 256)
             for x in range(512, 1536, 256)]  # fmt: skip

    def tile_at(level: int, column: int, row: int) -> Any:
        shrink = (1, 4, 16, 64)[level]
        first, last = (side / shrink for side in TISSUE_TILES)
        inside = first <= column < last and first <= row < last
        return parts[(column * 5 + row * 3) % 16] if inside else None

    slide = folder / "slides" / "large.tiff"
    slide.parent.mkdir()
    return write_sparse_pyramid(slide, (SIZE, SIZE), tile_at=tile_at)


def million_scores(slide_path: Path, folder: Path) -> Path:
    slide = Slide(slide_path)
    grid = build_grid(slide.size_l0, slide.require_mpp(), patch_px=32, mpp=CELLS_MPP,
                      allow_upsampling=True)  # fmt: skip
    tumour = np.random.default_rng(0).beta(0.5, 2, len(grid)).astype(np.float32)
    folder.mkdir()
    write_scores(folder / "large.h5", slide, grid, np.stack([1 - tumour, tumour], axis=1))
    return folder


@contextmanager
def viewer(path: Path) -> Iterator[str]:
    """The address of `histocnn view` in a process of its own."""
    words = [sys.executable, "-m", "histocnn.cli", "view", str(path), "--no_browser"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        found = re.search(r"http\S+", server.stdout.readline())
        assert found is not None
        yield found[0]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def look(play: Any, path: Path, seconds: float, script: str) -> dict[str, Any]:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    browser = play.chromium.launch(executable_path=executable, args=FLAGS)
    with viewer(path) as address, closing(browser):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)
        while not page.evaluate("window.histocnn?.state.whole && !histocnn.tiles.flying.size"):
            time.sleep(0.02)
        first = page.evaluate(
            "[histocnn.state.first, histocnn.state.sharp, "
            "performance.getEntriesByType('navigation')[0].loadEventEnd]"
        )
        return {"first": first, **page.evaluate(script, seconds)}


def alone(path: Path, count: int = 300) -> list[float]:
    """Milliseconds of tiles of level 0 asked one after another, without a browser."""
    times = []
    with viewer(path) as address:
        _, _, host, secret, _ = address.split("/")
        connection = http.client.HTTPConnection(host, timeout=60)
        for number in range(count):
            start = time.perf_counter()
            place = f"9/{150 + number % 60}/{150 + number // 60}"
            connection.request("GET", f"/{secret}/slide/0/tile/{place}")
            assert connection.getresponse().read()
            times.append(1e3 * (time.perf_counter() - start))
        connection.close()
    return times[1:]  # the first opens the slide


def percentiles(times: list[float]) -> str:
    return f"median {statistics.median(times):.1f} ms, 95 % {np.percentile(times, 95):.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        slide = large_slide(Path(folder))
        scores = million_scores(slide, Path(folder) / "scores")
        print(json.dumps({"slide_mb": slide.stat().st_size / 1e6}))
        print(f"server alone: {percentiles(alone(slide))}")
        for _ in range(options.repeats):
            panned = look(play, slide, options.seconds, PAN)
            first, sharp, load = panned["first"]
            print(f"page loaded after {load:.0f} ms, first picture {first:.0f}, sharp {sharp:.0f}")
            print(f"{len(panned['times'])} tiles at level 0: {percentiles(panned['times'])}; "
                  f"{panned['frames']:.0f} frames/s")  # fmt: skip
        again = look(play, scores, 0, THRESHOLD)
        print(f"threshold on {again['cells']:,} cells: {percentiles(again['times'])}")


if __name__ == "__main__":
    main()
