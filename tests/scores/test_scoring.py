from __future__ import annotations

import numpy as np
import pytest

from histocnn.cohort.seen import NOT_SEEN, Verdict
from histocnn.scores.scoring import Scoring, write_scores
from histocnn.storage import store

SCORES = np.array([[0.25, 0.75], [np.nan, np.nan]], np.float32)
RECIPE = {"stage": "predict", "model": "abc"}


def test_image_files_are_seen_each_by_itself_and_a_slide_as_a_whole():
    scoring = Scoring(("a", "b"), RECIPE, [NOT_SEEN, Verdict("train", "patient")])
    datasets, attributes = scoring.stored(of_slide=False)
    assert datasets == {"seen": ["no", "train"], "seen_by": ["", "patient"]}
    assert "seen" not in attributes
    datasets, attributes = Scoring(("a", "b"), RECIPE, [NOT_SEEN, Verdict("val", "slide")]).stored(
        of_slide=True
    )
    assert datasets == {}
    assert (attributes["seen"], attributes["seen_by"]) == ("val", "slide")
    assert Scoring(("a", "b"), RECIPE, [NOT_SEEN]).stored(of_slide=True)[1]["seen_by"] is None
    assert Scoring(("a", "b"), RECIPE, []).stored(of_slide=True)[1]["seen"] == "unknown"


@pytest.mark.parametrize("place", ["coords", "paths"])
def test_a_file_says_what_it_was_told_and_carries_the_patches_on(tmp_path, place):
    where = {"coords": np.array([[0, 0], [9, 0]]), "paths": ["x.png", "y.png"]}[place]
    points = {"b": {"youden": {"threshold": 0.3}}}
    scoring = Scoring(("a", "b"), RECIPE, [NOT_SEEN] * 2, 1.5, points, {"seed": 3})
    carried = {place: where}, {"slide_id": "s", "labels.class_names": ["z"]}
    arrays = {"scores": SCORES, "labels": np.array([0, -1])}
    write_scores(tmp_path / "s.h5", carried, arrays, scoring)
    found, said = store.read(tmp_path / "s.h5"), store.attributes(tmp_path / "s.h5")
    assert np.array_equal(found["scores"], SCORES, equal_nan=True)
    assert np.array_equal(found[place], where)
    assert said["scores.class_names"] == ["a", "b"]
    assert said["labels.class_names"] == ["z"]
    assert (said["temperature"], said["thresholds"]) == (1.5, points)
    assert (said["training"], said["recipe"]) == ({"seed": 3}, RECIPE)
    if place == "coords":
        assert said["seen"] == "no"
        assert "seen" not in found
    else:
        assert found["seen"] == ["no", "no"]


def test_what_has_no_temperature_says_none(tmp_path):
    carried = {"paths": ["x.png", "y.png"]}, {"slide_id": "s"}
    scoring = Scoring(("a", "b"), {"stage": "knn"}, [NOT_SEEN] * 2)
    write_scores(tmp_path / "s.h5", carried, {"scores": SCORES}, scoring)
    assert (
        not {"temperature", "thresholds", "training"} & store.attributes(tmp_path / "s.h5").keys()
    )
