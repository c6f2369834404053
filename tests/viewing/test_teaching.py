"""A session from its first click to its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import StoreError, UsageError
from histocnn.reference.features import load
from histocnn.regions.annotations import read_annotations
from histocnn.viewing.neighbour_map import TaughtMap
from histocnn.viewing.teaching import Teaching
from tests.feature_files import write_features
from tests.grid_files import write_grid


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Features of 10 × 5 patches of 28 px, the last unread; every third is of class b."""
    grid = write_grid(tmp_path, size=(280, 140), mpp=0.5)
    (tmp_path / "features").mkdir()
    return write_features(tmp_path / "features" / "s1.h5", like=grid, nan_rows=[49])


@pytest.fixture
def teaching(file: Path, tmp_path: Path) -> Teaching:
    return Teaching(file, tmp_path / "taught", "ana")


def mapped(teaching: Teaching) -> TaughtMap | None:
    """The map, which another act has changed since it was last asked for."""
    return teaching.map


def test_a_session_from_click_to_file(teaching: Teaching) -> None:
    assert mapped(teaching) is None
    assert teaching.suggestions()[0].rule == "unlike"
    assert teaching.label_at(30, 5, " tumour ").tolist() == [1]
    assert mapped(teaching) is None
    assert teaching.label_at(60, 5, "<b>").tolist() == [2]
    assert teaching.map is not None
    assert teaching.map.class_names == ("tumour", "<b>")
    assert teaching.map.scores.shape == (50, 2)
    assert teaching.label_region([(0, 28), (100, 28), (100, 84), (0, 84)], "stroma").tolist() == [
        10, 11, 12, 13, 20, 21, 22, 23,
    ]  # fmt: skip
    assert teaching.class_names == ("tumour", "<b>", "stroma")
    assert [step.labelled for step in teaching.settled] == [1, 2, 10]
    assert teaching.settled[0].changed is teaching.settled[1].changed is None
    assert teaching.settled[2].changed is not None
    assert teaching.neighbours(1)[0].class_name == "tumour"
    assert 1 not in [each.row for each in teaching.suggestions("uncertain", 50)]
    saved = teaching.save()
    assert saved.counts == {"tumour": 1, "<b>": 1, "stroma": 8}
    assert set(load([saved.reference]).class_names) == {"tumour", "<b>", "stroma"}
    drawn = read_annotations(saved.annotation, (280, 140))
    assert drawn.classes["stroma"].area == pytest.approx(100 * 56)
    assert teaching.session in saved.reference.name


def test_undo_takes_back_act_by_act(teaching: Teaching) -> None:
    teaching.label([1], "a")
    teaching.label([2], "b")
    before = teaching.map
    teaching.label([1, 5], "c")
    assert teaching.labels[[1, 2, 5]].tolist() == [2, 1, 2]
    assert teaching.map is not None
    assert teaching.map.class_names == ("b", "c")
    teaching.undo()
    assert teaching.map is not None
    assert before is not None
    np.testing.assert_allclose(teaching.map.scores, before.scores, atol=1e-6)
    assert list(teaching.class_names) == ["a", "b"]
    assert len(teaching.settled) == 2
    teaching.unlabel([2])
    assert mapped(teaching) is None
    assert [teaching.undo() for _ in range(4)] == [True, True, True, False]
    assert len(teaching.class_names) == 0
    with pytest.raises(UsageError, match="nothing is labelled"):
        teaching.save()


def test_an_earlier_session_is_a_reference(teaching: Teaching, file: Path, tmp_path: Path) -> None:
    teaching.label([1, 4], "a")
    teaching.label([2, 5], "b")
    teaching.save()
    later = Teaching(file, tmp_path / "taught", "ben", reference=tmp_path / "taught")
    assert later.map is not None
    assert later.map.class_names == ("a", "b")
    assert later.reference is not None
    assert len(later.reference) == 4
    assert later.labels.max() == -1  # the earlier labels are not this session's
    later.label([7], "c")
    assert later.class_names == ("a", "b", "c")
    assert later.save().counts == {"c": 1}


@pytest.mark.parametrize(
    ("rows", "said"),
    [([], "of 50 patches"), ([-1], "of 50 patches"), ([50], "of 50 patches"),
     ([49], "could not be read"), (["x"], "no whole numbers"), ([2**70], "no whole numbers")],
)  # fmt: skip
def test_strange_rows_are_refused_and_change_nothing(
    teaching: Teaching, rows: list[int], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        teaching.label(rows, "a")
    with pytest.raises(UsageError, match=said):
        teaching.unlabel(rows)
    assert not teaching.undo()


def test_strange_names_and_places_are_refused(teaching: Teaching) -> None:
    for name in ("", "a\nb", "x" * 65):
        with pytest.raises(UsageError):
            teaching.label([0], name)
        with pytest.raises(UsageError):
            teaching.label_region([(0, 0), (100, 0), (100, 100)], name)
    with pytest.raises(UsageError, match="no patch at"):
        teaching.label_at(-5, 5, "a")
    assert not teaching.undo()


def test_image_files_have_no_slide_to_teach_on(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="without a place on a slide"):
        Teaching(write_features(tmp_path / "i.h5"), tmp_path)
