"""What knn and probe share: the file and its recipe, and that a drawing comes before it."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import pytest

from histocnn.errors import CohortError
from histocnn.reference.apart import Exclude
from histocnn.reference.features import load
from histocnn.reference.methods import ByNeighbours, ByRegression
from histocnn.reference.neighbours import Knn
from histocnn.scores.compared import score_features
from histocnn.scores.scored import _origin
from histocnn.storage import store
from histocnn.storage.hashing import sha256
from tests.feature_files import write_features
from tests.grid_files import write_grid


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


def test_however_large_the_reference_its_digest_is_in_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("histocnn.storage.json.MOST_LISTED", 15)
    files = [
        write_features(tmp_path / "r" / f"{i}.h5", n=2, patients=(f"p{i}",), seed=i, width=2)
        for i in range(20)
    ]
    method = ByNeighbours(load(files).labelled(), Knn(k=3))
    [target] = score_features(files[:1], tmp_path / "out", method).outputs
    attributes = store.attributes(target)
    assert attributes["recipe"]["reference"].keys() == {"count", "sha256"}
    assert _origin(store.attributes(target)) == "knn on 20 reference files"
    # Version 0.1.0 listed them: such a file is done, and says as much of its making.
    hashes = sorted(sha256(file) for file in files)
    attributes["recipe"]["reference"] = hashes
    store.write(target, store.read(target), attributes)
    assert _origin(store.attributes(target)) == "knn on 20 reference files"
    assert score_features(files[:1], tmp_path / "out", method).skipped == ["0"]
    method = ByNeighbours(load(files[:-1]).labelled(), Knn(k=3))
    assert score_features(files[:1], tmp_path / "out", method).done == ["0"]


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


def copied_slide(tmp_path: Path) -> tuple[Path, Path]:
    """Features of a slide, and of the same slide under another id and patient."""
    grid = write_grid(tmp_path, "s1", patient_id="P1")
    shutil.copy(grid, tmp_path / "s2.h5")
    with h5py.File(tmp_path / "s2.h5", "r+") as file:
        file.attrs["histocnn_slide_id"], file.attrs["histocnn_patient_id"] = "s2", "P2"
    first, second = tmp_path / "reference" / "s1.h5", tmp_path / "query" / "s2.h5"
    return write_features(first, like=grid), write_features(second, like=tmp_path / "s2.h5")


@pytest.mark.parametrize("exclude", ["patient", "slide"])
def test_a_slide_is_not_compared_with_itself_under_another_name(
    tmp_path: Path, exclude: Exclude
) -> None:
    reference, query = copied_slide(tmp_path)
    method = ByNeighbours(load([reference]).labelled(), Knn(k=1), exclude)
    with pytest.raises(CohortError, match=r"s1 .* and s2 .* are the same slide"):
        score_features([query], tmp_path / "out", method)
    assert not list(tmp_path.glob("out/*.h5"))


def test_the_same_slide_may_be_compared_where_nothing_is_to_be_left_out(tmp_path: Path) -> None:
    reference, query = copied_slide(tmp_path)
    method = ByNeighbours(load([reference]).labelled(), Knn(k=1), "none")
    assert score_features([query], tmp_path / "out", method).failures == {}
