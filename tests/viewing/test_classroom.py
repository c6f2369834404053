"""Teaching as the page does it: what it is told, and what its map's cells are then."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histocnn.errors import StoreError, UsageError
from histocnn.pages.viewer_values import NOT_SCORED, STEPS
from histocnn.viewing import layers
from histocnn.viewing.classroom import Classroom, Lesson
from histocnn.viewing.layers import SURE
from histocnn.viewing.opened import Desk
from histocnn.viewing.shelf import shelve
from histocnn.viewing.teaching import Teaching
from tests.feature_files import write_features
from tests.grid_files import write_grid
from tests.viewing.test_shelf import a_slide


def features(folder: Path) -> Path:
    """Features of 10 × 5 patches of 28 px, the last unread."""
    grid = write_grid(folder, size=(280, 140), mpp=0.5)
    (folder / "features").mkdir()
    return write_features(folder / "features" / "s1.h5", like=grid, nan_rows=[49])


@pytest.fixture
def room(tmp_path: Path) -> Classroom:
    features(tmp_path)
    return Classroom(Desk(shelve(tmp_path / "features")), Lesson(tmp_path / "taught", "ana"))


def test_labels_become_a_map(room: Classroom, tmp_path: Path) -> None:
    said = room.state(0)
    assert said["classes"] == said["layers"] == said["settled"] == []
    assert said["features"] == "features"
    with pytest.raises(StoreError, match="two classes"):
        room.values(0, "classes")
    said = room.tell(0, {"at": [30, 5], "class": "<i>tumour"})
    assert said["marks"] == {"boxes": [[28, 0, 56, 28]], "classes": [0]}
    assert said["layers"] == []
    said = room.tell(0, {"outline": [[0, 28], [56, 28], [56, 56], [0, 56]], "class": "gland"})
    assert [(each["name"], each["count"]) for each in said["classes"]] == [
        ("<i>tumour", 1), ("gland", 2),
    ]  # fmt: skip
    assert said["classes"][0]["colour"] == [213, 94, 0]
    assert [each["key"] for each in said["layers"]] == [
        "classes", "s0", "s1", "uncertain", "novelty",
    ]  # fmt: skip
    assert said["layers"][0]["facts"]["shape"] == [5, 10]
    assert said["acts"] == len(said["settled"]) == 2
    json.dumps(said)
    check_values(room, tmp_path)


def check_values(room: Classroom, tmp_path: Path) -> None:
    """The cells are those of a session of the same labels."""
    own = Teaching(tmp_path / "features" / "s1.h5", tmp_path / "other")
    own.label([1], "<i>tumour")
    own.label([10, 11], "gland")
    assert own.map is not None
    scores = own.map.scores.reshape(5, 10, 2)
    s1 = room.values(0, "s1")
    assert s1[4, 9] == NOT_SCORED
    assert np.abs(s1.ravel()[:49] / STEPS - scores.reshape(-1, 2)[:49, 1]).max() < 1e-4
    assert room.values(0, "classes")[0, 1] >> 10 == 0
    assert room.values(0, "classes")[1, 0] >> 10 == 1
    uncertain = room.values(0, "uncertain").ravel()[:49] / STEPS
    assert np.abs(uncertain - own.map.uncertainty[:49]).max() < 1e-4
    assert room.values(0, "novelty")[4, 9] == NOT_SCORED
    for key in ("s2", "x", "labels"):
        with pytest.raises(StoreError, match="no layer"):
            room.values(0, key)


def test_what_was_said_is_taken_back(room: Classroom) -> None:
    room.tell(0, {"rows": [1], "class": "a"})
    room.tell(0, {"rows": [2, 3], "class": "b"})
    said = room.tell(0, {"at": [60, 5], "class": None})
    assert [each["count"] for each in said["classes"]] == [1, 1]
    said = room.undo(0, said["turns"])
    assert [each["count"] for each in said["classes"]] == [1, 2]
    for _ in range(3):
        said = room.undo(0, said["turns"])
    assert said["acts"] == 0
    assert said["marks"] == {"boxes": [], "classes": []}


def test_no_window_takes_back_what_another_said(room: Classroom) -> None:
    seen = room.tell(0, {"rows": [1], "class": "a"})
    room.tell(0, {"rows": [2], "class": "b"})  # in another window
    said = room.undo(0, seen["turns"])
    assert "Another window" in said["note"]
    assert [each["count"] for each in said["classes"]] == [1, 1]
    assert room.undo(0, said["turns"])["acts"] == 1
    assert "note" in room.undo(0, None)


def test_what_nobody_saved_is_saved_at_the_end(room: Classroom, tmp_path: Path) -> None:
    assert room.close() == []
    said = room.tell(0, {"rows": [1], "class": "a"})
    assert said["unsaved"]
    [line] = room.close()
    [kept] = (tmp_path / "taught").glob("s1.ana.*.h5")
    assert line == f"s1: its labels are saved in {kept}"
    assert not room.state(0)["unsaved"]
    assert room.close() == []
    said = room.tell(0, {"rows": [2], "class": "b"})
    write_features(
        tmp_path / "features" / "s1.h5", like=tmp_path / "grids" / "s1.h5"
    )  # made anew meanwhile
    [line] = room.close()
    assert line.startswith("s1: its labels are lost: ")
    assert room.undo(0, room.undo(0, said["turns"])["turns"])["unsaved"] is False  # nothing is said


def test_sessions_without_a_label_are_let_go(room: Classroom) -> None:
    first = room._session(0)
    room.desk.shelf = replace(room.desk.shelf, slides=(*room.desk.shelf.slides,) * 2)
    room.state(1)
    assert room._session(0) is not first
    room.tell(0, {"rows": [1], "class": "a"})
    room.state(1)
    assert room.state(0)["acts"] == 1


def test_more_classes_than_two_bytes_hold_have_no_layer_of_the_likeliest(
    room: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell's number of the 64th class would be that of no class at all."""
    assert (layers.MOST_CLASSES << 10) + SURE == NOT_SCORED
    monkeypatch.setattr(layers, "MOST_CLASSES", 2)
    room.tell(0, {"rows": [1], "class": "a"})
    assert room.tell(0, {"rows": [2], "class": "b"})["layers"][0]["key"] == "classes"
    assert room.tell(0, {"rows": [3], "class": "c"})["layers"][0]["key"] == "s0"


def test_where_to_look_next(room: Classroom) -> None:
    room.tell(0, {"rows": [1], "class": "a"})
    offered = room.suggest(0, "combined")
    assert 0 < len(offered) <= 6
    assert offered[0]["rule"] == "unlike"
    assert 1 not in [each["row"] for each in offered]
    assert np.shape(offered[0]["box"]) == (4,)
    with pytest.raises(UsageError, match="no rule"):
        room.suggest(0, "best")


def test_files_are_of_this_session_alone(room: Classroom, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is labelled"):
        room.save(0)
    room.tell(0, {"rows": [1], "class": "a"})
    room.tell(0, {"rows": [2], "class": "b"})
    other = Classroom(room.desk, room.lesson)
    other.tell(0, {"rows": [5], "class": "a"})
    first, second = room.save(0), other.save(0)
    assert first["counts"] == {"a": 1, "b": 1}
    assert set(first["files"]) & set(second["files"]) == set()
    assert sorted(path.name for path in (tmp_path / "taught").iterdir()) == sorted(
        [*first["files"], *second["files"]]
    )
    assert all(name.startswith("s1.ana.") for name in first["files"])
    assert room.save(0)["files"] == first["files"]


@pytest.mark.parametrize(
    "said",
    [{}, {"class": "a"}, {"class": 7, "rows": [1]}, {"class": "a", "at": [1]},
     {"class": "a", "at": "no"}, {"class": "a", "at": [-9, 5]}, {"class": "a", "rows": [99]},
     {"class": "a", "rows": "x"}, {"class": "a", "rows": [49]}, {"class": "", "rows": [1]},
     {"class": "a", "outline": [[0, 0], [1, 1]]}, {"class": "a", "outline": 5},
     {"class": "a\n", "rows": [1.5]}, {"class": "x" * 65, "rows": [1]},
     {"class": None, "outline": [[0, 28], [56, 28], [56, 56]]}],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_and_changes_nothing(
    room: Classroom, said: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        room.tell(0, said)
    assert room.state(0)["acts"] == 0


def test_a_slide_without_features_cannot_be_taught(tmp_path: Path) -> None:
    room = Classroom(Desk(shelve(a_slide(tmp_path))), Lesson(tmp_path / "taught"))
    with pytest.raises(StoreError, match="no features"):
        room.state(0)
