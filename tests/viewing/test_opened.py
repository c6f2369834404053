"""Slides that are looked at: theirs is what their files say, or nothing is laid over them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import HistocnnError, SlideError, StoreError
from histocnn.slides.slide import Slide
from histocnn.viewing import opened
from histocnn.viewing.opened import MOST_OPEN, Desk, open_listed, readable
from histocnn.viewing.shelf import Listed, Shelf, shelve
from tests.slide_files import position_image, write_pyramid
from tests.viewing.test_shelf import a_slide, scores_of


def test_scores_lie_over_the_slide_that_they_name(tmp_path: Path) -> None:
    scores_of(tmp_path / "scores" / "a.h5", a_slide(tmp_path))
    [listed] = shelve(tmp_path / "scores").slides
    found = open_listed(listed)
    assert found.slide.path == tmp_path / "a.tiff"
    assert found.refused == {}
    assert found.scored(0) is found.scored(0)
    assert found.scored(0).class_names == ("normal", "tumour")
    with pytest.raises(StoreError, match="no such file"):
        found.scored(1)


def test_a_moved_slide_is_asked_for(tmp_path: Path) -> None:
    slide = a_slide(tmp_path)
    scores_of(tmp_path / "scores" / "a.h5", slide)
    slide.rename(tmp_path / "moved.tiff")
    [listed] = shelve(tmp_path / "scores").slides
    with pytest.raises(HistocnnError, match="--slides"):
        open_listed(listed)
    table = tmp_path / "slides.csv"
    table.write_text("slide_id,slide_path\na,moved.tiff\n")
    [listed] = shelve(tmp_path / "scores", table).slides
    assert open_listed(listed).files.keys() == {0}


def test_scores_of_another_slide_are_not_laid_over_it(tmp_path: Path) -> None:
    scores_of(tmp_path / "scores" / "a.h5", a_slide(tmp_path))
    write_pyramid(tmp_path / "other.tiff", position_image(310, 200), downsamples=(1,))
    entry = SlideEntry("a", tmp_path / "other.tiff")
    found = open_listed(Listed("a", {0: tmp_path / "scores" / "a.h5"}, entry))
    assert "fingerprint differs" in found.refused[0]
    assert found.slide.size_l0 == (310, 200)  # the slide alone
    with pytest.raises(StoreError, match="fingerprint"):
        found.scored(0)
    (tmp_path / "other.tiff").replace(tmp_path / "a.tiff")
    with pytest.raises(HistocnnError, match="fingerprint differs"):  # nobody typed that path
        open_listed(Listed("a", {0: tmp_path / "scores" / "a.h5"}))


def test_scores_of_two_slides_of_one_id_are_never_laid_over_one(tmp_path: Path) -> None:
    scores_of(tmp_path / "out" / "one" / "a.h5", a_slide(tmp_path / "one"))
    other = write_pyramid(tmp_path / "a.tiff", position_image(310, 200), downsamples=(1,))
    scores_of(tmp_path / "out" / "two" / "a.h5", other)
    [listed] = shelve(tmp_path / "out").slides
    found = open_listed(listed)
    assert found.slide.path == tmp_path / "one" / "a.tiff"
    assert found.files.keys() == {0}
    assert "another slide of this id" in found.refused[1]


def test_without_a_scale_pixels_are_square(tmp_path: Path) -> None:
    bare = write_pyramid(tmp_path / "b.tiff", position_image(300, 200), mpp=None)
    slide, frame = readable(Slide(bare))
    assert (frame.known, frame.size_px) == (False, (300, 200))
    assert slide.read((0, 0), 10, 1.0).shape == (10, 10, 3)


def test_a_broken_slide_says_so_and_others_open(tmp_path: Path) -> None:
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides" / "broken.tiff").write_bytes(b"II*\0 broken")
    a_slide(tmp_path / "slides", "fine")
    desk = Desk(shelve(tmp_path / "slides"))
    with pytest.raises(SlideError, match="cannot be opened"):
        desk.opened(0)
    assert desk.opened(1).frame.size_px == (300, 200)
    assert desk.number_of("fine") == 1
    assert desk.number_of("nobody") is None
    desk.close()


def test_the_desk_opens_once_and_keeps_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = a_slide(tmp_path)
    listed = [Listed(f"s{n}", entry=SlideEntry(f"s{n}", slide)) for n in range(MOST_OPEN + 2)]
    times = []
    monkeypatch.setattr(opened, "Slide", lambda *a, **k: times.append(1) or Slide(*a, **k))
    desk = Desk(Shelf("t", (), tuple(listed)))
    threads = [threading.Thread(target=desk.opened, args=(0,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 1
    first = desk.opened(0)
    for number in range(MOST_OPEN + 2):
        desk.opened(number)
    assert desk.opened(MOST_OPEN + 1) is desk.opened(MOST_OPEN + 1)
    assert desk.opened(0) is not first  # it went, and is opened again
