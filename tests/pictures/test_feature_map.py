"""The map: every patch once, in its class's colour; what is rare shares a grey."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from histocnn.errors import FeaturesError, StoreError
from histocnn.pictures.feature_map import SOURCES, _scatter, _sources, draw_map, read_called
from histocnn.pictures.palette import class_colours
from histocnn.reference.features import load
from histocnn.storage import store
from tests.feature_files import write_features


def test_points_bear_their_classes_colours_and_the_query_is_crossed() -> None:
    axes = Figure().subplots()
    points = np.arange(12, dtype=np.float32).reshape(6, 2)
    names = ["a", "b", "a", "b", "b", "b"]
    _scatter(axes, points, names, np.array([False] * 5 + [True]), "class")
    drawn = {str(part.get_label()): part for part in axes.collections}
    assert set(drawn) == {"a (2)", "b (3)", "b (1)"}  # the cross is a class's own
    np.testing.assert_array_equal(drawn["a (2)"].get_offsets(), points[[0, 2]])
    np.testing.assert_array_equal(drawn["b (1)"].get_offsets(), points[[5]])
    colours = class_colours(["a", "b"]) / 255
    np.testing.assert_allclose(drawn["a (2)"].get_facecolor()[0][:3], colours[0])
    np.testing.assert_allclose(drawn["b (3)"].get_facecolor()[0][:3], colours[1])


def test_what_is_rarer_than_the_ten_commonest_shares_a_grey() -> None:
    axes = Figure().subplots()
    names = [f"s{i:02d}" for i in range(SOURCES) for _ in range(2)] + ["z1", "z2", "z3"]
    points = np.zeros((len(names), 2), np.float32)
    _scatter(axes, points, names, np.zeros(len(names), bool), "source")
    labels = [str(part.get_label()) for part in axes.collections]
    assert len(labels) == SOURCES + 1
    assert labels[-1] == "others (3)"
    assert axes.collections[-1].get_facecolor()[0][:3].tolist() == [0.7] * 3


def test_a_source_is_the_patient_unnamed_else_the_file(tmp_path: Path) -> None:
    rows = load([write_features(tmp_path / "f.h5", n=8, patients=("eve", "", "adam", ""))])
    slides = replace(rows, slide_ids=["", "", "", "", "s1", "s2", "", ""])
    eve, adam = ["patient 2"] * 2, ["patient 1, s1 …"] * 2  # nobody asked to see who they are
    assert _sources([slides, rows]) == [*eve, "f", "f", *adam, "f", "f"] * 2


def test_a_map_that_cannot_be_drawn_leaves_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = load([write_features(tmp_path / "f.h5", n=8)])
    (tmp_path / "map.png").write_bytes(b"the last one")

    def full(figure: Figure, file: Any, **how: object) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(StoreError, match=r"map\.png"):
        draw_map(rows, rows, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes() == b"the last one"


def test_the_map_is_written_and_two_points_are_none(tmp_path: Path) -> None:
    rows = load([write_features(tmp_path / "f.h5", n=8)])
    draw_map(rows, rows, tmp_path / "map.png")
    assert cv2.imread(str(tmp_path / "map.png")).shape == (600, 1300, 3)
    with pytest.raises(FeaturesError, match="a map of 2 patches shows nothing"):
        draw_map(rows.only(np.arange(2)), rows.only(np.arange(2)), tmp_path / "no.png")


def test_a_query_is_drawn_in_the_class_it_was_called_and_says_whom_it_shares(
    tmp_path: Path,
) -> None:
    query = load([write_features(tmp_path / "q" / "f.h5", n=4)])
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [np.nan, np.nan], [0.4, 0.6]], np.float32)
    store.write(
        tmp_path / "f.h5",
        {"scores": scores, "paths": list("abcd"), "seen": ["no", "no", "train", "train"],
         "seen_by": ["", "", "patient", "patient"]},
        {"scores.class_names": ["normal", "tumour"]},
    )  # fmt: skip
    called = read_called(query, tmp_path)
    assert list(called.names) == ["normal", "tumour", "not scored", "tumour"]
    assert called.stamp == "same patient in training"
    assert list(read_called(query, tmp_path / "nowhere").names) == ["not scored"] * 4
