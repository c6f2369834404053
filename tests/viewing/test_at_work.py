"""Tiles and thumbnails are made once, and what could not be read is tried again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.errors import UsageError
from histocnn.viewing import at_work
from histocnn.viewing.at_work import Asked, Viewing
from histocnn.viewing.classroom import Lesson
from histocnn.viewing.shelf import shelve
from histocnn.viewing.tiles import Gone
from tests.slide_files import damage_tile, position_image, write_pyramid
from tests.viewing.test_classroom import features
from tests.viewing.test_shelf import a_slide


def stay() -> None:
    """Somebody waits."""


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    made: list[int] = []
    real: Callable[..., object] = at_work.tile
    monkeypatch.setattr(at_work, "tile", lambda *a, **k: made.append(1) or real(*a, **k))
    return made


def test_a_tile_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, viewing = counted(monkeypatch), Viewing(shelve(a_slide(tmp_path)))
    first, whole = viewing.tile(0, (1, 0, 0), stay)
    assert whole
    assert viewing.tile(0, (1, 0, 0), stay) == (first, True)
    assert len(made) == 1
    with pytest.raises(UsageError):
        viewing.tile(0, (9, 0, 0), stay)
    with pytest.raises(UsageError):
        viewing.tile(1, (0, 0, 0), stay)
    viewing.close()


def test_what_could_not_be_read_is_tried_again(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tiff", position_image(700, 500), downsamples=(1,))
    damage_tile(path, 0, 0, 0)
    viewing = Viewing(shelve(path))
    assert not viewing.tile(0, (2, 0, 0), stay)[1]
    assert viewing.cache.size == 0
    viewing.close()


def test_a_thumbnail_is_the_slide_without_margin(tmp_path: Path) -> None:
    viewing = Viewing(shelve(a_slide(tmp_path)))  # 300 × 200 px: made half
    encoded = np.frombuffer(viewing.thumbnail(0, stay), np.uint8)
    assert cv2.imdecode(encoded, cv2.IMREAD_COLOR).shape == (100, 150, 3)
    viewing.close()


def test_nothing_is_made_for_who_went_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, viewing = counted(monkeypatch), Viewing(shelve(a_slide(tmp_path)))

    def gone() -> None:
        raise Gone

    for ask in (lambda: viewing.tile(0, (0, 0, 0), gone), lambda: viewing.thumbnail(0, gone),
                lambda: viewing.tissue(0, gone)):  # fmt: skip
        with pytest.raises(Gone):
            ask()
    assert made == []
    viewing.close()


def test_who_cannot_wait_for_threads_loses_no_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Ctrl-C while the first is waited for."""
    features(tmp_path)
    lesson = Lesson(tmp_path / "taught")
    viewing = Viewing(shelve(tmp_path / "features"), Asked(lesson=lesson))
    assert viewing.classroom is not None
    viewing.classroom.tell(0, {"rows": [1], "class": "a"})

    def impatient(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(viewing.drawers, "shutdown", impatient)
    with pytest.raises(KeyboardInterrupt):
        viewing.close()
    assert len(viewing.last_words) == len(list((tmp_path / "taught").glob("*.h5"))) == 1


def test_tissue_is_made_once(tmp_path: Path) -> None:
    viewing = Viewing(shelve(a_slide(tmp_path)))
    assert viewing.tissue(0, stay) is viewing.tissue(0, stay)
    viewing.close()
