"""How many slides a process holds open at once."""

from __future__ import annotations

import resource
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from histocnn.slides import handles
from histocnn.slides.slide import Slide
from tests.slide_files import position_image, write_pyramid


@pytest.fixture
def limit() -> Iterator[None]:
    """A process that may open 64 files, and has none of the other tests' slides."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    counted = list(handles._open)
    handles._open.clear()
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    handles._open.extend(counted)


@pytest.mark.usefixtures("limit")
def test_as_many_slides_are_open_as_the_limit_leaves_room_for(tmp_path: Path) -> None:
    assert handles.most_at_once() == 16
    write_pyramid(tmp_path / "a.tif", position_image(256, 256), downsamples=(1,))
    pixels = Slide(tmp_path / "a.tif").read((0, 0), 64, 0.5)
    slides = []
    for i in range(40):
        (tmp_path / f"{i}.tif").hardlink_to(tmp_path / "a.tif")
        slides.append(Slide(tmp_path / f"{i}.tif"))
        assert (slides[-1].read((0, 0), 64, 0.5) == pixels).all()
    assert ["reader" in vars(slide) for slide in slides] == [False] * 24 + [True] * 16
    assert (slides[0].read((0, 0), 64, 0.5) == pixels).all()  # opened again
    assert "reader" not in vars(slides[24])


@pytest.mark.usefixtures("limit")
def test_a_closed_slide_gives_its_file_back_and_opens_again(tmp_path: Path) -> None:
    slide = Slide(write_pyramid(tmp_path / "a.tif", position_image(256, 256)))
    pixels = slide.read((0, 0), 64, 0.5)
    reader = weakref.ref(slide.reader)
    slide.close()
    slide.close()
    assert reader() is None
    assert (slide.read((0, 0), 64, 0.5) == pixels).all()


@pytest.mark.usefixtures("limit")
def test_slides_that_are_gone_are_not_counted_for_ever(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "a.tif", position_image(256, 256), downsamples=(1,))
    for _ in range(10):
        Slide(tmp_path / "a.tif").read((0, 0), 64, 0.5)
    assert len(handles._open) == 1


def test_without_a_limit_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def unlimited(what: int) -> tuple[int, int]:
        return resource.RLIM_INFINITY, resource.RLIM_INFINITY

    monkeypatch.setattr(resource, "getrlimit", unlimited)
    assert handles.most_at_once() > 10**6
