"""The page of dense scores in a real browser: smooth, over tissue only, as the pictures have it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from histocnn.pages.viewer import write_viewer
from histocnn.patches.grid import PatchGrid, Window, build_grid
from histocnn.pictures.heat import INK, OPACITY, View
from histocnn.pictures.palette import class_colours, map_table
from histocnn.scores.scored import ScoredSlide
from tests.browser.conftest import Viewer
from tests.score_files import random_scores

pytestmark = pytest.mark.browser

SIZE_L0 = (1600, 1200)
NAMES = ("normal", "tumour")
PINK = np.array([190, 110, 160])


def windows(size_l0: tuple[int, int] = SIZE_L0) -> PatchGrid:
    """Windows of 80 px, one every 20 px; each is centred in the corner of four cells."""
    grid = build_grid(size_l0, (0.5, 0.5), patch_px=80, mpp=0.5, overlap_px=60)
    return replace(grid, window=Window(80, 0.0, 40.0))


def ramp(grid: PatchGrid) -> NDArray[np.float32]:
    """Scores of which that of tumour is x / 1600 at a window's centre."""
    tumour = (grid.cell[:, 1] * 20 + 40) / 1600
    return np.stack([1 - tumour, tumour], axis=1).clip(0, 1).astype(np.float32)


def overview() -> NDArray[np.uint8]:
    """Tissue above, glass from y = 800 on."""
    pixels = np.full((1200, 1600, 3), 243, np.uint8)
    pixels[:800] = PINK
    return pixels


@pytest.fixture
def opened(viewer: Viewer, tmp_path: Path) -> Viewer:
    grid = windows()
    novelty = np.where(grid.cell[:, 0] < 10, 100, 0).astype(np.float32)
    points = {"tumour": {"youden": 0.5}}
    labels = (grid.cell[:, 1] > 40).astype(np.int64) - (grid.cell[:, 1] == 40)
    slide = ScoredSlide(
        "a", grid, ramp(grid), NAMES, novelty, points=points, labels=labels, label_names=NAMES,
        quality={"blur_um": np.float32(2 * (grid.cell[:, 1] < 10))},
    )  # fmt: skip
    view = View(slide, overview(), annotations={"tumour": shapely.box(1000, 300, 1200, 700)})
    write_viewer(view, overview(), tmp_path / "a.html")
    return viewer.open(tmp_path / "a.html")


def colour_at(viewer: Viewer, x: float, y: float) -> NDArray[np.floating]:
    """Mean colour of the 3 × 3 pixels around a level-0 point, off any hatching."""
    left, top = viewer.window(x, y)
    frame = viewer.frame()
    part = viewer.pixels()
    row, column = round(top - frame[1] - 2), round(left - frame[0] - 2)
    return np.asarray(part[row - 1 : row + 2, column - 1 : column + 2].mean(axis=(0, 1)))


def test_colour_runs_smoothly_and_is_the_more_opaque_the_higher_the_score(opened: Viewer) -> None:
    opened.choose("probability of tumour")
    opened.page.mouse.move(5, 5)
    table = map_table("viridis").astype(float)
    for x in (203, 411, 897, 1333):  # wherever in their cells
        step = round(x / 1600 * 255)
        expected = PINK * (1 - OPACITY[step]) + table[step] * OPACITY[step]
        assert colour_at(opened, x, 600) == pytest.approx(expected, abs=4)
    opened.choose("most likely class")
    orange = class_colours(NAMES)[1]
    alpha = 0.45 * (2 * 1333 / 1600 - 1)
    expected = PINK * (1 - alpha) + orange * alpha
    assert colour_at(opened, 1333, 600) == pytest.approx(expected, abs=4)
    assert opened.complaints == []


def test_glass_stays_clear_and_so_does_what_is_below_the_slider(opened: Viewer) -> None:
    opened.choose("probability of tumour")
    opened.page.mouse.move(5, 5)
    assert colour_at(opened, 1450, 1000) == pytest.approx([243] * 3, abs=1)
    sliders = opened.page.locator(".noUi-handle")
    sliders.nth(1).focus()
    for _ in range(60):
        opened.page.keyboard.press("ArrowRight")
    opened.settle()
    assert colour_at(opened, 900, 600) == pytest.approx(PINK, abs=2)
    assert np.abs(colour_at(opened, 1300, 600) - PINK).max() > 20


def test_zoom_repaints_what_is_in_sight_and_reset_shows_all(opened: Viewer) -> None:
    opened.choose("probability of tumour")
    table = map_table("viridis").astype(float)
    opened.page.mouse.move(*opened.window(1301, 600))
    for _ in range(8):
        opened.page.mouse.wheel(0, -200)
        opened.settle()
    opened.page.mouse.move(5, 5)
    opened.settle()
    assert opened.window(1310, 600)[0] - opened.window(1300, 600)[0] > 20
    for x in (1301, 1306):
        step = round(x / 1600 * 255)
        expected = PINK * (1 - OPACITY[step]) + table[step] * OPACITY[step]
        assert colour_at(opened, x, 603) == pytest.approx(expected, abs=4)
    opened.page.locator(".bk-tool-icon-reset").first.click()
    opened.settle()
    opened.page.mouse.move(5, 5)
    step = round(411 / 1600 * 255)
    expected = PINK * (1 - OPACITY[step]) + table[step] * OPACITY[step]
    assert colour_at(opened, 411, 600) == pytest.approx(expected, abs=4)


def test_contours_show_with_their_class_annotations_and_hatching_always(opened: Viewer) -> None:
    opened.page.mouse.move(5, 5)

    def inked(x: float, y: float, ink: object) -> bool:
        left, top = opened.window(x, y)
        frame, part = opened.frame(), opened.pixels()
        row, column = round(top - frame[1] - 2), round(left - frame[0] - 2)
        near = part[row - 4 : row + 5, column - 4 : column + 5]
        return bool((np.abs(near - np.asarray(ink)).max(axis=2) < 60).any())

    for layer, shown in (("most likely", False), ("probability of tumour", True)):
        opened.choose(layer)
        assert inked(800, 600, INK) == shown
        assert inked(1000, 500, class_colours(NAMES)[1].astype(int))
        hatched = inked(300, 100, (70, 70, 70)), inked(300, 500, (70, 70, 70))
        assert hatched == (True, False)
    for said in ("Youden: 0.5", "annotated tumour", "novelty from 95"):
        assert opened.page.get_by_text(said).is_visible()


def test_flaws_are_lines_over_the_slide_as_it_is(opened: Viewer) -> None:
    """Windows of columns 0 to 9 are blurred: cells around their centres, 30 to 230 px."""
    opened.choose("quality")
    opened.page.mouse.move(5, 5)
    assert colour_at(opened, 1333, 600) == pytest.approx(PINK, abs=2)
    assert np.abs(colour_at(opened, 230, 600) - PINK).max() > 30
    assert opened.page.get_by_text("blurred").is_visible()
    assert opened.complaints == []
    opened.choose("novelty")  # of none there
    assert np.abs(colour_at(opened, 230, 600) - PINK).max() < 30


def test_the_pointer_reads_the_window_centred_nearest(opened: Viewer) -> None:
    columns = 80
    for x, y, row, col in ((801, 601, 28, 38), (812, 601, 28, 39), (3, 601, 28, 0)):
        said = opened.point(x, y)
        assert said.startswith(
            f"window {row * columns + col} · level 0: x {col * 20}, y {row * 20}"
        )
        assert re.search(rf"tumour\s+{(col * 20 + 40) / 1600:.3f}", said)
    assert re.search(r"label\s+normal", opened.point(801, 601))
    assert re.search(r"label\s+none", opened.point(840, 601))
    assert re.search(r"label\s+tumour", opened.point(900, 601))
    assert "Move the pointer" in opened.point(-30, 500)


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_the_page_fits_its_window(opened: Viewer, size: tuple[int, int]) -> None:
    opened.page.set_viewport_size({"width": size[0], "height": size[1]})
    opened.page.wait_for_timeout(300)
    opened.settle()
    whole = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    assert opened.page.evaluate(whole) == list(size)
    for part in opened.page.locator(".noUi-target, select, h2").all():
        box = part.bounding_box()
        assert box["x"] + box["width"] <= size[0]
        assert box["y"] + box["height"] <= size[1]
    # The whole slide is in the frame, in its own proportions, and fills it one way.
    (left, top), (right, bottom) = opened.window(0, 0), opened.window(*SIZE_L0)
    frame = opened.frame()
    assert (right - left) / (bottom - top) == pytest.approx(1600 / 1200, rel=1e-3)
    assert left >= frame[0] - 1 and right <= frame[2] + 1  # noqa: PT018
    shares = (right - left) / (frame[2] - frame[0]), (bottom - top) / (frame[3] - frame[1])
    assert max(shares) == pytest.approx(1, abs=0.01)


def test_a_hundred_and_fifty_thousand_windows_are_smooth_and_small(
    viewer: Viewer, tmp_path: Path
) -> None:
    size_l0 = (8000, 7600)
    grid = windows(size_l0)
    assert len(grid) == 152_000
    rng = np.random.default_rng(0)
    slide = ScoredSlide(
        "many", grid, random_scores(len(grid)), NAMES, rng.uniform(0, 90, len(grid))
    )
    pixels = np.asarray(rng.integers(150, 220, (1900, 2000, 3)), np.uint8)
    path = tmp_path / "many.html"
    write_viewer(View(slide, pixels, threshold=0.9999), pixels, path)
    assert path.stat().st_size <= 10e6
    viewer.open(path)
    milliseconds = viewer.page.evaluate(
        """async () => {
          const threshold = Bokeh.documents[0].get_model_by_name("threshold")
          const frame = () => new Promise(done => requestAnimationFrame(done))
          const times = []
          for (let step = 0; step < 9; step++) {
            await frame()
            const start = performance.now()
            threshold.value = 0.05 * (step + 1)
            await frame()
            await frame()
            times.push(performance.now() - start)
          }
          return times.sort((a, b) => a - b)
        }"""
    )
    assert milliseconds[4] < 300, milliseconds
    assert viewer.complaints == []
