"""What knn and probe share: the file and its recipe, and that a drawing comes before it."""

from __future__ import annotations

from pathlib import Path

from histocnn.reference.features import load
from histocnn.reference.methods import ByRegression
from histocnn.scores.compared import score_features
from histocnn.storage import store
from histocnn.storage.hashing import sha256
from tests.feature_files import write_features


def test_the_recipe_is_method_reference_and_query(tmp_path: Path) -> None:
    reference = write_features(tmp_path / "r.h5", n=20, patients=("p1", "p2"))
    query = write_features(tmp_path / "q.h5", n=5, patients=("p3",), seed=1)
    method = ByRegression(load([reference]).labelled(), c=0.1, exclude="slide")
    out = tmp_path / "out"
    result = score_features([query], out, method, more={"explain": [0, ()]})
    assert result.outputs == [out / "q.h5"]
    assert store.attributes(out / "q.h5")["recipe"] == {
        "stage": "probe",
        "c": 0.1,
        "exclude": "slide",
        "explain": [0, []],
        "reference": [sha256(reference)],
        "query": sha256(query),
    }
    assert score_features([query], out, method, more={"explain": [0, ()]}).skipped == ["q"]


def test_the_picture_is_drawn_before_the_file_says_done(tmp_path: Path) -> None:
    reference = write_features(tmp_path / "r.h5", n=20, patients=("p1", "p2"))
    method = ByRegression(load([reference]).labelled(), c=0.1)
    seen = []

    def explain(target, rows, examples, arrays):
        seen.append((target.exists(), len(rows), len(examples), sorted(arrays)))
        return ["drawn"]

    result = score_features([reference], tmp_path / "out", method, explain=explain)
    assert seen == [(False, 20, 20, ["scores"])]
    assert "drawn" in result.rows[0]["message"]
