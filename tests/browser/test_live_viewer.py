"""The live viewer in a real browser: pixels and cells where they belong, names that are text."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from histocnn.cohort.sheet import SlideEntry
from histocnn.slides.slide import Slide
from histocnn.viewing.at_work import Asked, Viewing
from histocnn.viewing.classroom import Lesson
from histocnn.viewing.shelf import Listed, Shelf, shelve
from tests.browser.live import Live, living
from tests.score_files import grid_of, write_scores
from tests.slide_files import position_image, write_pyramid
from tests.viewing.conftest import NAMES, scored_slide
from tests.viewing.test_classroom import features

pytestmark = pytest.mark.browser

SIZE = (3000, 2200)
MARKED = (9, 13)  # row and column of the cell
MOST = 32.0  # screen pixels per level-0 pixel


@pytest.fixture
def live(chromium: Any, looked_at_once: Path) -> Iterator[Live]:
    shelf = shelve(looked_at_once / "scores", looked_at_once / "slides.csv")
    with living(chromium, Viewing(shelf)) as found:
        yield found.open()


@pytest.fixture(scope="module")
def looked_at_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live")
    scored_slide(folder)
    return folder


def marked_slide(folder: Path, mpp: tuple[float, float], overlap_px: int = 0) -> tuple[Path, Any]:
    """A position slide whose cell MARKED is black on white, and scores of that cell alone."""
    plain = write_pyramid(folder / "plain.tiff", position_image(*SIZE), mpp=mpp, downsamples=(1,))
    grid = grid_of(Slide(plain), 70, 0.73, overlap_px)
    [row] = np.flatnonzero((grid.cell == MARKED).all(axis=1))
    box = grid.boxes_l0()[row]
    left, top, right, bottom = np.rint(box).astype(int)
    image = position_image(*SIZE)
    image[top - 60 : bottom + 60, left - 60 : right + 60] = 255
    image[top:bottom, left:right] = 0
    path = write_pyramid(folder / "a.tiff", image, mpp=mpp, downsamples=(1, 2.0005, 4), quality=98)
    scores = np.full((len(grid), 2), np.nan, np.float32)
    scores[row] = (0, 1)
    (folder / "scores").mkdir()
    write_scores(folder / "scores" / "a.h5", Slide(path), grid, scores)
    return folder / "scores", box


@pytest.mark.parametrize(
    ("mpp", "ratio", "step"),
    [((0.5, 0.5), 1, 2**0.5), ((0.5, 0.8), 1, 2 * 0.93), ((0.5, 0.5), 2, 2)],
)
def test_a_marked_cell_is_where_it_belongs_at_every_zoom(
    chromium: Any, tmp_path: Path, mpp: tuple[float, float], ratio: int, step: float
) -> None:
    """Both edges of a corner, of the slide's black and of the layer's colour."""
    scores, (left, top, right, bottom) = marked_slide(tmp_path, mpp)
    with living(chromium, Viewing(shelve(scores)), device_scale_factor=ratio) as live:
        live.open()
        scale = live.page.evaluate("histocnn.view.fitting")
        steps = 0
        while scale <= MOST * ratio:
            x, y, inward = (left, top, 1) if steps % 2 else (right, bottom, -1)
            live.go(x, y, scale)
            live.choose("")
            bare = live.pixels()
            live.choose("0.classes")
            check_corner(live, bare, live.pixels(), (x, y), inward, scale)
            scale *= step
            steps += 1
        assert steps >= 6
        assert live.complaints == []


def check_corner(
    live: Live,
    bare: NDArray[np.int64],
    covered: NDArray[np.int64],
    point: tuple[float, float],
    inward: int,
    scale: float,
) -> None:
    across, down = live.point(*point)
    assert live.page.evaluate("histocnn.layer.facts.stride[0]") > 90
    wide = 90 * scale  # the cell is about 100 level-0 px wide; 64 down where these are coarser
    deep = round(min(12, wide / 4)) * inward
    black = bare.max(axis=2) <= 127
    coloured = np.abs(covered - bare).max(axis=2) >= 25
    # One screen pixel or one level-0 pixel; that of the cell's corner is no whole pixel.
    allowed = max(1.0, scale) + 0.5
    for mask in (black, coloured):
        row = mask[round(down) + deep]
        column = mask[:, round(across) + deep]
        for line, expected in ((row, across), (column, down)):
            assert abs(edge(line, round(expected) + deep, inward) - expected) <= allowed


def edge(line: NDArray[np.bool_], inside: int, inward: int) -> float:
    """Where what is true about a place begins, coming from outside."""
    assert line[inside]
    at = inside
    while 0 <= at - inward < len(line) and line[at - inward]:
        at -= inward
    return at if inward > 0 else at + 1


def test_names_are_text_whatever_they_hold(live: Live) -> None:
    assert NAMES[1].startswith("<img")
    assert NAMES[1] in live.text("#legend")
    assert f"probability of {NAMES[1]}" in live.text("#layer")
    live.page.mouse.click(600, 400)
    live.wait("document.querySelector('#why td') != null")
    assert NAMES[1] in live.text("#why")
    for layer in ("0.errors", "0.labels", "0.s1"):
        live.choose(layer)
    live.page.evaluate("histocnn.picture()")
    assert live.page.locator("main img, #legend img, #choose img").count() == 0
    assert live.complaints == []


def test_nothing_is_asked_of_anybody_else(live: Live) -> None:
    live.choose("0.novelty")
    live.page.keyboard.press("t")
    live.settle()
    own = live.client.address
    assert len(live.requests) > 5
    assert [url for url in live.requests if not url.startswith((own, "data:", "blob:"))] == []
    assert live.complaints == []


def test_a_click_says_why_and_marks_the_patch(live: Live) -> None:
    live.go(150, 50, 1.0)
    canvas = live.page.locator("#slide").bounding_box()
    x, y = live.point(150, 50)
    live.page.mouse.click(canvas["x"] + x, canvas["y"] + y)
    live.wait("document.querySelector('#why h2')?.textContent == 'Patch 1'")
    assert live.page.evaluate("histocnn.lines.mark") == [100, 0, 200, 100]
    live.wait("document.querySelector('.patch').naturalWidth == 50")
    live.page.keyboard.press("Escape")
    assert live.text("#why") == ""


def test_the_keyboard_does_what_the_mouse_does(live: Live) -> None:
    live.go(150, 50, 1.0)
    live.page.locator("#slide").press("Enter")
    live.wait("document.querySelector('#why h2')?.textContent == 'Patch 1'")
    live.page.keyboard.press("Escape")
    live.page.locator("#show_grid").press("t")
    assert live.page.locator("#show_tissue").is_checked()
    live.page.locator(".item").press("Enter")
    live.wait("histocnn.state.asked == 2")
    live.settle()
    nameless = live.page.evaluate(
        """() => [...document.querySelectorAll("select, input, button, canvas[tabindex], .item")]
          .filter((each) => !(each.ariaLabel || each.labels?.length
            || (each.tagName != "SELECT" && /\\w/.test(each.textContent))))
          .map((each) => each.outerHTML)"""
    )
    assert nameless == []


def test_in_a_small_window_nothing_is_cut_off(live: Live) -> None:
    """Nor where the page is enlarged."""
    live.page.set_viewport_size({"width": 640, "height": 480})
    live.settle()
    for part in ("#name", "#scale", "#link", "#help"):
        box = live.page.locator(part).bounding_box()
        assert box["width"] > 0
        assert box["x"] + box["width"] <= 640


def test_a_link_leads_to_the_same_place_and_layer(live: Live, chromium: Any) -> None:
    live.go(700, 500, 2.0)
    live.choose("0.s1")
    live.page.evaluate("histocnn.panel.changed({least: 0.25, opacity: 0.8})")
    live.page.keyboard.press("g")
    live.page.evaluate("history.replaceState(null, '', histocnn.place())")
    other = chromium.new_page(viewport={"width": 1440, "height": 900})
    try:
        there = Live(other, live.client)
        other.goto(live.page.url)
        there.settle()
        assert np.abs(there.pixels() - live.pixels()).max() <= 1
        assert other.evaluate("[histocnn.layer.least, histocnn.layer.opacity]") == [0.25, 0.8]
        assert other.locator("#show_grid").is_checked()
    finally:
        other.close()


def test_the_saved_picture_has_slide_scale_and_legend(live: Live) -> None:
    live.choose("0.classes")
    with live.page.expect_download() as waiting:
        live.page.keyboard.press("s")
    assert waiting.value.suggested_filename == "a.png"
    saved = np.asarray(Image.open(io.BytesIO(Path(waiting.value.path()).read_bytes())))[..., :3]
    seen = live.pixels()
    height = len(seen)
    assert saved.shape[1] == seen.shape[1]
    assert saved.shape[0] > height + 60  # words and swatches below
    middle = slice(height // 4, height // 2)
    assert np.abs(saved[middle].astype(int) - seen[middle]).max() <= 2
    below = saved[height:]
    assert (np.abs(below.astype(int) - (0, 114, 178)).max(axis=2) < 3).sum() >= 100  # a swatch
    bar = saved[height - 60 : height, :300]
    assert (bar.max(axis=2) == 0).sum() > 300


def test_scale_says_um_and_the_bar_is_as_long_as_it_says(live: Live) -> None:
    live.page.get_by_role("button", name="1 µm/px", exact=True).click()
    live.settle()
    assert live.page.evaluate("histocnn.view.scale") == pytest.approx(0.5)
    assert live.text("#where").startswith("1 µm/px")
    live.page.keyboard.press("1")
    live.settle()
    assert live.text("#where").startswith("0.5 µm/px")
    bar = live.pixels()[-75:, :250]
    black = np.flatnonzero((bar.max(axis=2) == 0).sum(axis=0) >= 5)
    wide = black.max() - black.min() + 1
    assert wide == pytest.approx(100, abs=2)  # 50 µm at 0.5 µm/px


def test_a_threshold_leaves_what_is_above(live: Live) -> None:
    live.choose("0.s1")
    live.page.evaluate("histocnn.panel.changed({opacity: 1})")
    before = live.pixels()
    shown = live.text("#count")
    live.page.evaluate("histocnn.panel.changed({least: 0.5})")
    live.settle()
    live.choose("")
    bare = live.pixels()
    live.choose("0.s1")
    assert live.text("#count").startswith("154 of 154")  # another layer begins anew
    live.page.evaluate("histocnn.panel.changed({least: 0.5})")
    live.settle()
    after = live.pixels()
    differs = np.abs(after - bare).max(axis=2) > 12
    differed = np.abs(before - bare).max(axis=2) > 12
    assert 0 < differs.sum() < differed.sum()
    assert live.text("#count") != shown


def test_the_page_goes_from_slide_to_slide_and_says_what_is_broken(
    chromium: Any, tmp_path: Path
) -> None:
    for name in ("a", "c"):
        write_pyramid(tmp_path / f"{name}.tiff", position_image(900, 700))
    (tmp_path / "b.tiff").write_bytes(b"II*\0 broken")
    with living(chromium, Viewing(shelve(tmp_path))) as live:
        live.open()
        assert live.text("#name") == "a"
        live.page.keyboard.press("n")
        live.wait("document.getElementById('name').textContent == 'b'")
        live.wait("!document.getElementById('message').hidden")
        assert "cannot be opened" in live.text("#message")
        live.wait("document.querySelector('.item.broken') != null")
        live.page.keyboard.press("n")
        live.wait("document.getElementById('name').textContent == 'c'")
        live.settle()
        assert not live.page.locator("#message").is_visible()
        live.page.keyboard.press("p")
        live.page.keyboard.press("p")
        said = "document.getElementById('choose').textContent"
        live.wait(f"{said}.includes('Nothing was scored')")  # layers come after the pixels


def test_of_ten_thousand_slides_only_those_in_sight_are_opened(
    chromium: Any, tmp_path: Path
) -> None:
    path = write_pyramid(tmp_path / "a.tiff", position_image(900, 700))
    listed = [Listed(f"s{n:05}", entry=SlideEntry(f"s{n:05}", path)) for n in range(10_000)]
    with living(chromium, Viewing(Shelf("many", (), tuple(listed)))) as live:
        live.open()
        strip = live.page.locator("#strip")
        assert live.page.locator(".item").count() < 12
        strip.evaluate("(strip) => { strip.scrollTop = 5000 * 132 }")
        live.wait("document.querySelector('.item .id').textContent >= 's04990'")
        live.page.locator("#find").fill("s0777")
        live.wait("document.querySelectorAll('.item').length == 8")
        assert sum("thumbnail" in url for url in live.requests) < 40
        live.page.get_by_text("s07770").click()
        live.wait("document.getElementById('name').textContent == 's07770'")
        assert live.complaints == []


@pytest.fixture
def teaching(chromium: Any, tmp_path: Path) -> Iterator[Live]:
    """The viewer of a slide of features, opened and being taught."""
    features(tmp_path)
    viewing = Viewing(shelve(tmp_path / "features"), Asked(lesson=Lesson(tmp_path / "taught")))
    with living(chromium, viewing) as live:
        live.open()
        live.page.locator("#teach_on").click()
        yield live


def test_teaching_by_clicks(chromium: Any, tmp_path: Path) -> None:
    features(tmp_path)
    lesson = Lesson(tmp_path / "taught")
    viewing = Viewing(shelve(tmp_path / "features"), Asked(lesson=lesson))
    with living(chromium, viewing) as live:
        live.open()
        canvas = live.page.locator("#slide").bounding_box()
        live.page.locator("#teach_on").click()
        live.wait("document.querySelectorAll('#teach_next img').length == 6")
        for (x, y), name in (((30, 5), "a"), ((70, 100), "<b>c</b>")):
            live.page.locator("#teach_name").fill(name)
            live.page.locator("#teach_name").press("Enter")
            left, top = live.point(x, y)
            live.page.mouse.click(canvas["x"] + left, canvas["y"] + top)
            live.wait(f"histocnn.state.teach.known.some((c) => c.count && c.name == '{name}')")
        live.wait("histocnn.layer.facts?.source == 'taught' && histocnn.layer.values != null")
        assert "<b>c</b>" in live.text("#teach_classes")
        assert "<b>c</b>" in live.text("#legend")
        live.page.keyboard.down("Alt")  # the taught map is shown: of its patch the pixels are said
        live.page.mouse.click(canvas["x"] + left, canvas["y"] + top)
        live.page.keyboard.up("Alt")
        live.wait("document.querySelector('#why h2')?.textContent.startsWith('Patch')")
        live.wait("document.querySelector('#why .patch').naturalWidth == 28")
        live.page.keyboard.down("Shift")
        corners = [live.point(x, y) for x, y in ((150, 20), (240, 20), (240, 90), (150, 90))]
        places = [(canvas["x"] + x, canvas["y"] + y) for x, y in corners]
        live.page.mouse.move(*places[0])
        live.page.mouse.down()
        for place in places[1:]:
            live.page.mouse.move(*place, steps=4)
        live.page.mouse.up()
        live.page.keyboard.up("Shift")
        live.wait("histocnn.state.teach.known.some((each) => each.count > 4)")
        live.page.locator("#teach_undo").click()
        live.wait("histocnn.state.teach.known.every((each) => each.count < 2)")
        live.page.locator("#teach_save").click()
        live.wait("document.getElementById('teach_said').textContent.startsWith('saved in taught')")
        assert len(list((tmp_path / "taught").iterdir())) == 2
        assert live.complaints == []


def test_a_click_is_about_the_slide_that_is_seen(chromium: Any, tmp_path: Path) -> None:
    """Also before the layers of the slide are known, which may take seconds."""
    for name in ("a", "b"):
        write_pyramid(tmp_path / f"{name}.tiff", position_image(300, 200), downsamples=(1,))
    viewing = Viewing(shelve(tmp_path), Asked(lesson=Lesson(tmp_path / "taught")))
    with living(chromium, viewing) as live:
        live.open()
        live.wait("histocnn.state.teach.number == 0")
        hold: list[Any] = []
        live.page.route("**/slide/1/layers", lambda route: hold.append(route))
        live.page.keyboard.press("n")
        live.wait("histocnn.state.facts?.id == 'b' && histocnn.tiles.number == 1")
        assert live.page.evaluate("histocnn.state.teach.number") == 1
        hold[0].continue_()
        live.settle()


def test_no_layer_of_the_last_slide_is_drawn_on_the_next(chromium: Any, tmp_path: Path) -> None:
    """Its pixels are there before its layers are, which may take seconds."""
    scored_slide(tmp_path)
    write_pyramid(tmp_path / "b.tiff", position_image(300, 200), downsamples=(1,))
    (tmp_path / "slides.csv").write_text("slide_id,slide_path\na,a.tiff\nb,b.tiff\n")
    viewing = Viewing(shelve(tmp_path / "scores", tmp_path / "slides.csv"))
    with living(chromium, viewing) as live:
        live.open()
        assert live.page.evaluate("histocnn.layer.facts.key") == "classes"
        hold: list[Any] = []
        live.page.route("**/slide/1/layers", lambda route: hold.append(route))
        live.page.keyboard.press("n")
        live.wait("histocnn.state.facts?.id == 'b'")
        live.settle()
        assert live.complaints == []
        hold[0].continue_()
        live.settle()


def test_nothing_of_the_last_slide_stays_where_one_is_broken(chromium: Any, tmp_path: Path) -> None:
    scored_slide(tmp_path)
    (tmp_path / "b.tiff").write_bytes(b"II*\0 broken")
    (tmp_path / "slides.csv").write_text("slide_id,slide_path\na,a.tiff\nb,b.tiff\n")
    viewing = Viewing(shelve(tmp_path / "scores", tmp_path / "slides.csv"))
    with living(chromium, viewing) as live:
        live.open()
        assert live.page.locator("#layer").is_visible()
        live.page.keyboard.press("n")
        live.wait("!document.getElementById('message').hidden")
        for part in ("#layer", "#map", "#scale", "#where"):
            assert not live.page.locator(part).is_visible()
        for part in ("#link", "#shot"):
            assert live.page.locator(part).is_disabled()
        live.page.mouse.click(600, 400)
        live.page.keyboard.press("p")
        live.wait("histocnn.state.facts?.id == 'a'")
        live.settle()
        assert live.page.locator("#layer").is_visible()
        assert [each for each in live.complaints if "404" not in each] == []


def test_that_the_viewer_has_ended_is_said(teaching: Live) -> None:
    teaching.page.locator("#teach_name").fill("a")
    teaching.page.locator("#teach_name").press("Enter")
    teaching.page.context.set_offline(True)
    teaching.page.mouse.click(600, 400)
    teaching.wait("document.getElementById('teach_said').textContent.includes('has it ended?')")
    teaching.page.evaluate("histocnn.open(0)")
    teaching.wait("document.getElementById('message').textContent.includes('has it ended?')")
    teaching.page.context.set_offline(False)


def test_a_link_to_a_slide_that_is_not_here_says_so(live: Live) -> None:
    live.page.evaluate("location.hash = '#slide=gone&x=1&y=1'")
    live.wait("document.getElementById('message').textContent.startsWith('gone is not among')")
    live.page.evaluate("location.hash = '#slide=a&layer=0.s1&from=0.25&lines=g'")
    live.wait("histocnn.layer.facts?.key == 's1'")
    live.settle()
    assert live.page.evaluate("histocnn.layer.least") == 0.25
    assert live.page.locator("#show_grid").is_checked()
    assert not live.page.locator("#message").is_visible()


def test_two_windows_teach_one_session(teaching: Live) -> None:
    teaching.wait("document.querySelectorAll('#teach_next img').length == 6")
    teach = "histocnn.state.teach"
    teaching.page.evaluate(f"{teach}.send('tell', {{rows: [1], class: 'a'}})")
    teaching.wait(f"{teach}.turns == 1")
    assert "not saved yet" in teaching.text("#teach_save")
    teaching.client.post("slide/0/teach/tell", {"rows": [2], "class": "b"})
    teaching.page.keyboard.press("u")
    teaching.wait("document.getElementById('teach_said').textContent.startsWith('Another window')")
    assert teaching.page.evaluate(f"{teach}.known.map((each) => each.count)") == [1, 1]
    teaching.client.post("slide/0/teach/tell", {"rows": [3], "class": "b"})
    teaching.page.evaluate("window.dispatchEvent(new Event('focus'))")
    teaching.wait(f"{teach}.known[1].count == 2")
    teaching.page.keyboard.press("u")
    teaching.wait(f"{teach}.known[1].count == 1")
    teaching.page.evaluate(f"{teach}.save()")
    teaching.wait("document.getElementById('teach_save').textContent == 'save labels'")


def test_the_class_that_is_chosen_stays_chosen(teaching: Live) -> None:
    teach = "histocnn.state.teach"
    for row, name in ((1, "a"), (2, "b")):
        teaching.page.evaluate(f"{teach}.send('tell', {{rows: [{row}], class: '{name}'}})")
    teaching.wait(f"{teach}.turns == 2")
    teaching.page.get_by_role("button", name="no label").click()
    teaching.page.evaluate(f"{teach}.send('tell', {{rows: [2], class: null}})")
    teaching.wait(f"{teach}.turns == 3")
    assert teaching.page.evaluate(f"{teach}.chosen") is None
    for _ in range(3):
        teaching.page.evaluate(f"{teach}.send('undo', {{}})")
    teaching.wait(f"{teach}.turns == 6")
    chosen = [["a", 0], ["b", 0]]  # still offered
    assert (
        teaching.page.evaluate(f"{teach}.known.map(({{name, count}}) => [name, count])") == chosen
    )
