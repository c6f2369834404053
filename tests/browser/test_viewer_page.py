"""The viewer in a real browser: no request, the layer stays put, the pointer reads its patch."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from histocnn.pages.viewer import write_viewer
from histocnn.patches.grid import PatchGrid, build_grid
from histocnn.pictures.heat import View
from histocnn.scores.scored import ScoredSlide
from tests.browser.conftest import Viewer
from tests.score_files import random_scores

pytestmark = pytest.mark.browser

SIZE_L0 = (1400, 1100)
NAMES = ("normal", "<img src=x onerror=alert(1)>")
MARKED = (4, 6)  # row and column of the patch that the slide shows in black


def scored(grid: PatchGrid, *, novelty: bool = True) -> ScoredSlide:
    scores = random_scores(len(grid))
    scores[2] = np.nan
    values = np.linspace(0, 100, len(grid), dtype=np.float32) if novelty else None
    return ScoredSlide("a <b>slide</b>", grid, scores, NAMES, values)


def row_of(grid: PatchGrid, cell: tuple[int, int]) -> int:
    return int(np.flatnonzero((grid.cell == cell).all(axis=1))[0])


@pytest.fixture(scope="module", params=[0, 30], ids=["grid", "overlap"])
def slide(request: pytest.FixtureRequest) -> ScoredSlide:
    return scored(build_grid(SIZE_L0, (0.5, 0.5), patch_px=70, mpp=0.73, overlap_px=request.param))


@pytest.fixture
def opened(slide: ScoredSlide, viewer: Viewer, tmp_path: Path) -> Viewer:
    overview = np.full((SIZE_L0[1], SIZE_L0[0], 3), 255, np.uint8)
    path = tmp_path / "a.html"
    write_viewer(View(slide, overview), overview, path)
    return viewer.open(path)


def test_it_asks_for_nothing_and_complains_of_nothing(opened: Viewer, tmp_path: Path) -> None:
    opened.point(700, 500)
    opened.choose("novelty")
    assert opened.complaints == []
    assert opened.requests == [(tmp_path / "a.html").as_uri()]
    assert "a <b>slide</b>" in opened.page.locator("h2").inner_text()


def test_the_pointer_reads_the_patch_under_it(opened: Viewer, slide: ScoredSlide) -> None:
    boxes = slide.grid.boxes_l0()
    for row in (2, 3, len(boxes) // 2, len(boxes) // 2 + 1):
        x, y = (boxes[row, :2] + boxes[row, 2:]) / 2
        said = opened.point(x, y)
        assert said.startswith(f"patch {row} ·")
        assert f"x {round(boxes[row, 0])}, y {round(boxes[row, 1])}" in said
        for name, score in zip(NAMES, slide.scores[row], strict=True):
            text = "not scored" if np.isnan(score) else f"{score:.3f}"
            assert re.search(rf"{re.escape(name)}\s+{text}", said)
        assert slide.novelty is not None
        assert re.search(rf"novelty\s+{slide.novelty[row]:.1f} %", said)
    assert "Move the pointer" in opened.point(-30, 500)


def test_a_link_may_name_a_patch_which_stands_in_the_middle(
    opened: Viewer, slide: ScoredSlide, tmp_path: Path
) -> None:
    whole = opened.window(1400, 0)[0] - opened.window(0, 0)[0]
    left, top, right, bottom = slide.grid.boxes_l0()[row_of(slide.grid, MARKED)]
    opened.page.goto("about:blank")
    opened.page.goto(f"{(tmp_path / 'a.html').as_uri()}#{round(left)},{round(top)}")
    opened.page.wait_for_function("window.Bokeh?.documents[0]?.is_idle")
    opened.settle()
    frame = np.array(opened.frame())
    seen = opened.window((left + right) / 2, (top + bottom) / 2)
    assert seen == pytest.approx(((frame[:2] + frame[2:]) / 2).tolist(), abs=4)
    wide = opened.window(right, top)[0] - opened.window(left, top)[0]
    assert wide == pytest.approx((frame[2:] - frame[:2]).min() / 12, rel=0.02)
    assert opened.complaints == []
    opened.page.locator(".bk-tool-icon-reset").first.click()
    opened.settle()
    assert opened.window(1400, 0)[0] - opened.window(0, 0)[0] == pytest.approx(whole, abs=1)


def test_the_patch_changes_at_the_patches_edge(opened: Viewer, slide: ScoredSlide) -> None:
    """One level-0 pixel to either side of the line between two neighbours' nearest centres."""
    grid = slide.grid
    left, right = row_of(grid, (3, 5)), row_of(grid, (3, 6))
    boxes = grid.boxes_l0()
    edge = (boxes[left, [0, 2]].mean() + boxes[right, [0, 2]].mean()) / 2
    y = boxes[left, [1, 3]].mean()
    centre = opened.window(edge, y)
    opened.page.mouse.move(*centre)
    for _ in range(10):  # so far in that a level-0 pixel is several of the window's
        opened.page.mouse.wheel(0, -200)
        opened.settle()
    assert opened.point(edge - 1, y).startswith(f"patch {left} ·")
    assert opened.point(edge + 1, y).startswith(f"patch {right} ·")


def test_sliders_and_choice_change_the_layer(opened: Viewer, slide: ScoredSlide) -> None:
    sliders, page = opened.page.locator(".noUi-handle"), opened.page
    opened.page.mouse.move(5, 5)
    first = opened.pixels()
    coloured = (np.ptp(first, axis=2) > 40).sum()
    assert coloured > 100_000
    sliders.nth(0).focus()
    page.keyboard.press("End")
    opened.settle()
    opaque = opened.pixels()
    blue = np.abs(opaque - np.array([0, 114, 178])).max(axis=2) <= 1
    assert blue.sum() > 20_000  # the class's own colour, with nothing of the slide in it
    sliders.nth(1).focus()
    page.keyboard.press("End")
    opened.settle()
    high = opened.pixels()
    assert (np.ptp(high, axis=2) > 40).sum() < 0.2 * coloured
    page.keyboard.press("Home")
    opened.choose("probability of <img")
    scores = opened.pixels()
    assert np.abs(scores - opaque).max() > 100
    opened.choose("novelty")
    assert np.abs(opened.pixels() - scores).max() > 100


def test_the_layer_stays_on_the_slide_when_it_is_moved(viewer: Viewer, tmp_path: Path) -> None:
    """The slide is black where the only scored patch lies: there it must be coloured, too."""
    grid = build_grid(SIZE_L0, (0.5, 0.5), patch_px=70, mpp=0.73)
    row = row_of(grid, MARKED)
    scores = np.full((len(grid), 2), np.nan, np.float32)
    scores[row] = (0, 1)
    left, top, right, bottom = np.rint(grid.boxes_l0()[row]).astype(int)
    overview = np.full((SIZE_L0[1], SIZE_L0[0], 3), 255, np.uint8)
    overview[top:bottom, left:right] = 0
    path = tmp_path / "a.html"
    write_viewer(View(ScoredSlide("a", grid, scores, NAMES), overview), overview, path)
    viewer.open(path)
    check_black_is_coloured(viewer)
    x, y = viewer.window(left, top)
    viewer.page.mouse.move(x, y)
    viewer.page.mouse.down()
    viewer.page.mouse.move(x + 130, y + 77, steps=5)
    viewer.page.mouse.up()
    viewer.settle()
    moved = viewer.window(left, top)
    assert moved == pytest.approx((x + 130, y + 77), abs=1)
    viewer.page.mouse.move(5, 5)
    check_black_is_coloured(viewer)
    viewer.page.mouse.move(*moved)
    for _ in range(4):
        viewer.page.mouse.wheel(0, -200)
        viewer.settle()
    viewer.page.mouse.move(5, 5)
    check_black_is_coloured(viewer)
    assert viewer.complaints == []


def check_black_is_coloured(viewer: Viewer) -> None:
    """The black square and the coloured one have the same edges, to one level-0 pixel."""
    viewer.settle()
    picture = viewer.pixels()
    orange = np.array([230, 159, 0]) * 0.6
    on_black = np.abs(picture - orange).max(axis=2) <= 12
    on_white = np.abs(picture - (orange + 0.4 * 255)).max(axis=2) <= 12
    bare_black = picture.max(axis=2) <= 30
    black, coloured = edges(on_black | bare_black), edges(on_black | on_white)
    l0 = viewer.window(1, 0)[0] - viewer.window(0, 0)[0]
    assert black[2] - black[0] > 20
    assert np.abs(black - coloured).max() <= 1 + l0
    assert on_black.sum() >= (black[2] - black[0] - 2 - l0) * (black[3] - black[1] - 2 - l0)


def edges(mask: np.ndarray) -> np.ndarray:
    """Left, top, right, bottom of what is true."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def test_a_hundred_thousand_patches_are_smooth_and_small(viewer: Viewer, tmp_path: Path) -> None:
    size_l0 = (80_000, 79_000)
    grid = build_grid(size_l0, (0.25, 0.25), patch_px=224, mpp=0.28)
    assert len(grid) == 100_485
    scores = random_scores(len(grid), 9)
    novelty = np.linspace(0, 100, len(grid), dtype=np.float32)
    slide = ScoredSlide("many", grid, scores, tuple(f"class {i}" for i in range(9)), novelty)
    overview = np.random.default_rng(0).integers(0, 256, (2962, 3000, 3), dtype=np.uint8)
    path = tmp_path / "many.html"
    write_viewer(View(slide, overview), overview, path)  # noise is the worst a JPEG can be given
    assert path.stat().st_size <= 15e6
    viewer.open(path)
    milliseconds = viewer.page.evaluate(
        """async () => {
          const layer = Bokeh.documents[0].get_model_by_name("layer")
          const threshold = Bokeh.documents[0].get_model_by_name("threshold")
          const frame = () => new Promise(done => requestAnimationFrame(done))
          const times = []
          for (let step = 0; step < 10; step++) {
            layer.value = ["classes", "s3", "novelty"][step % 3]
            await frame()
            const start = performance.now()
            threshold.value = 0.05 * (step + 1)
            await frame()
            times.push(performance.now() - start)
          }
          return times.sort((a, b) => a - b)
        }"""
    )
    assert milliseconds[5] < 150, milliseconds
    for row in (0, 50_000, 100_484):
        x, y = grid.boxes_l0()[row, :2] + 50
        assert viewer.point(x, y).startswith(f"patch {row} ·")
    assert viewer.complaints == []
