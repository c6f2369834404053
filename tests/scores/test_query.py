"""knn's and probe's score files: rows as they came, and whether their patient took part."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.cohort.seen import SEEN, TrainingCohort, Verdict
from histocnn.errors import FeaturesError
from histocnn.patches.patches import FilePatches
from histocnn.reference.features import load
from histocnn.scores.query import open_query, seen, write_query
from histocnn.scores.scorefile import open_score_file
from histocnn.storage import store
from tests.feature_files import write_features
from tests.grid_files import write_grid


@pytest.fixture
def reference(tmp_path):
    """Rows of the patients p0 and p1, half of each class."""
    return load([write_features(tmp_path / "ref.h5", n=8, patients=("p0", "p1"))]).labelled()


def test_who_took_part_is_known_by_patient(reference, tmp_path):
    query = load([write_features(tmp_path / "q.h5", n=6, patients=("p1", "x", ""))])
    assert query.patient_ids == ["p1", "p1", "x", "x", "", ""]
    expected = ["train", "train", "no", "no", "unknown", "unknown"]
    assert [v.seen for v in seen(reference, query, "none")] == expected
    # left out of the reference, p1 took no part
    assert [v.seen for v in seen(reference, query, "patient")] == ["no"] * 4 + ["unknown"] * 2


def test_a_patient_without_a_name_on_either_side_is_not_said_to_be_unseen(tmp_path):
    some = load([write_features(tmp_path / "some.h5", n=8, patients=("p0", ""))]).labelled()
    query = load([write_features(tmp_path / "q.h5", n=4, patients=("x", "p0"))])
    assert [v.seen for v in seen(some, query, "none")] == ["unknown"] * 2 + ["train"] * 2
    first = write_grid(tmp_path / "1", "s1", patient_id=None, size=(100, 80), mpp=0.5)
    second = write_grid(tmp_path / "2", "s2", patient_id=None, size=(100, 80), mpp=0.5)
    one, other = (
        load([write_features(tmp_path / f"{grid.stem}.h5", like=grid)]) for grid in (first, second)
    )
    assert set(seen(one, other, "patient")) == {Verdict("unknown")}
    assert set(seen(one, one, "none")) == {Verdict("train", "slide")}


def cohort(**ids):
    return TrainingCohort({"train": {"patients": ["p7"], **ids}}).to_json()


def test_features_know_in_whom_their_network_was_trained(reference, tmp_path):
    path = write_features(tmp_path / "q.h5", n=4, patients=("p7", "x"), cohorts=[cohort()])
    query = load([path])
    assert [v.seen for v in seen(reference, query, "patient")] == ["train", "train", "no", "no"]
    trained = load([write_features(tmp_path / "r.h5", patients=("p0", "p1"), cohorts=[cohort()])])
    silent = load([write_features(tmp_path / "s.h5", n=4, patients=("p7", "x"), cohorts=None)])
    # the reference is of the same network, and says it
    assert [v.seen for v in seen(trained, silent, "patient")] == ["train", "train", "no", "no"]
    assert {v.seen for v in seen(silent, silent, "patient")} == {"unknown"}


def test_another_slide_of_a_patient_is_told_from_the_slide_itself(reference, tmp_path):
    grid = write_grid(tmp_path, "s2", patient_id="p7", size=(100, 80), mpp=0.5)
    sister, own = (
        load([write_features(tmp_path / f"{name}.h5", like=grid, cohorts=[cohort(slides=[name])])])
        for name in ("s1", "s2")
    )
    assert set(seen(reference, sister, "patient")) == {Verdict("train", "patient")}
    assert set(seen(reference, own, "patient")) == {Verdict("train", "slide")}


def test_rows_that_cannot_be_read_stay_in_place_and_are_not_scored(reference, tmp_path):
    path = write_features(tmp_path / "q.h5", n=4, patients=("x",), nan_rows=(1,))
    query = open_query(FilePatches(path), reference)
    assert query.row.tolist() == [0, 2, 3]
    arrays = {
        "scores": np.array([[0, 1], [1, 0], [0.5, 0.5]], np.float32),
        "neighbours": np.array([[7], [8], [9]], np.int32),
    }
    target = tmp_path / "out.h5"
    recipe = {"stage": "knn", "reference": list(reference.hashes)}
    facts = write_query(target, FilePatches(path), query, reference, arrays, recipe, "patient")
    assert facts == {
        "patches": 4, "outcome": "ok", "notes": ["1 of 4 rows are NaN, not scored"],
    }  # fmt: skip
    file, found = open_score_file(target), store.read(target)
    assert file.class_names == ("a", "b")
    assert file.scores()[[0, 2, 3]].tolist() == arrays["scores"].tolist()
    assert np.isnan(file.scores()[1]).all()
    assert found["neighbours"].tolist() == [[7], [-1], [8], [9]]
    assert found["reference_sha256"] == list(reference.hashes)
    assert found["reference_patient_ids"] == ["p0", "p1"]
    assert [SEEN[i] for i in file.seen()] == ["no", "unknown", "no", "no"]
    assert file.attributes["recipe"] == recipe
    assert file.labels().tolist() == [0, 1, 0, 1]


def test_a_slide_has_one_verdict_although_its_first_patch_was_unreadable(reference, tmp_path):
    grid = write_grid(tmp_path, "s1", patient_id="x", size=(100, 80), mpp=0.5)
    path = write_features(tmp_path / "q.h5", like=grid, nan_rows=(0,))
    query = open_query(FilePatches(path), reference)
    scores = np.full((len(query), 2), 0.5, np.float32)
    write_query(
        tmp_path / "out.h5", FilePatches(path), query, reference, {"scores": scores}, {}, "patient"
    )
    file = open_score_file(tmp_path / "out.h5")
    assert file.attributes["seen"] == "no"
    assert file.slide_id == "s1"
    assert len(file) == len(query) + 1


def test_a_query_must_be_made_as_the_reference_was(reference, tmp_path):
    path = write_features(tmp_path / "q.h5", n=4, width=9)
    with pytest.raises(FeaturesError, match="features of width 8 and 9"):
        open_query(FilePatches(path), reference)
