"""histocnn probe: the score file of knn, from a regression that never saw the own patient."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histocnn.cli import main
from histocnn.errors import FeaturesError
from histocnn.reference.linear import FOLDS, Probe
from histocnn.stages.probe import probe
from histocnn.storage import store
from tests.feature_files import write_features


def test_scores_are_a_logistic_regression(tmp_path: Path) -> None:
    reference = write_features(tmp_path / "r.h5", n=60, patients=("p0", "p1"))
    query = write_features(tmp_path / "q.h5", n=12, patients=("x",), seed=1, nan_rows=(4,))
    assert probe(reference, query, tmp_path / "out", c=0.1).exit_code == 0
    stored, asked = store.read(tmp_path / "out" / "q.h5"), store.read(query)
    data = store.read(reference)
    peer = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    peer.fit(data["features"], data["labels"])
    readable = np.arange(12) != 4
    np.testing.assert_allclose(
        stored["scores"][readable], peer.predict_proba(asked["features"][readable]), atol=1e-4
    )
    assert np.isnan(stored["scores"][4]).all()
    assert set(stored["seen"]) == {"no", "unknown"}  # the NaN row was not judged
    assert store.attributes(tmp_path / "out" / "q.h5")["scores.class_names"] == ["a", "b"]


def test_left_out_c_is_chosen_among_the_training_patients_and_said(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    for i in range(4):
        write_features(folder / f"r{i}.h5", n=30, patients=(f"p{i}",), seed=i)
    assert probe(folder, folder, tmp_path / "out").exit_code == 0
    assert store.attributes(tmp_path / "out" / "r0.h5")["recipe"]["c"] == "chosen inside"
    slides = json.loads((tmp_path / "out" / "run.json").read_text())["slides"]
    for name in ("r0", "r3"):  # of one patient each: one regression, whatever was scored before
        [note] = slides[name]["notes"]
        assert re.fullmatch(r"C chosen inside: [\d.e-]+ \(1 ×\)", note)


def test_colour_is_six_features_more(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    dyes, asked = rng.uniform(0, 255, (60, 6)), rng.uniform(0, 255, (12, 6))
    asked[4] = np.nan
    reference = write_features(tmp_path / "r.h5", n=60, patients=("p0", "p1"), colour=dyes)
    query = write_features(
        tmp_path / "q.h5", n=12, patients=("x",), seed=1, nan_rows=(4,), colour=asked
    )
    for name, colour in (("with", True), ("without", False)):
        assert probe(reference, query, tmp_path / name, c=0.1, colour=colour).exit_code == 0
    learnt, data = np.c_[store.read(reference)["features"], np.float32(dyes)], store.read(reference)
    peer = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    peer.fit(learnt, data["labels"])
    readable = np.arange(12) != 4
    rows = np.c_[store.read(query)["features"], np.float32(asked)][readable]
    found = {name: store.read(tmp_path / name / "q.h5")["scores"] for name in ("with", "without")}
    np.testing.assert_allclose(found["with"][readable], peer.predict_proba(rows), atol=1e-4)
    assert np.isnan(found["with"][4]).all()
    assert np.abs(found["with"] - found["without"])[readable].max() > 0.01


def test_colours_that_nobody_stored_are_asked_for(tmp_path: Path) -> None:
    reference = write_features(tmp_path / "r.h5", n=20, patients=("p0",), colour=np.eye(20, 6))
    query = write_features(tmp_path / "q.h5", n=5, patients=("x",))
    assert probe(reference, query, tmp_path / "out", colour=True).exit_code == 1
    failure = json.loads((tmp_path / "out" / "q.failed.json").read_text())
    assert "q.h5: 5 patches without a stored colour" in str(failure)


def test_same_folder_never_learns_from_the_own_patient() -> None:
    """Features tell each patient, and every patient has labels of its own making."""
    rng = np.random.default_rng(0)
    units = np.repeat(np.arange(40), 10)
    labels = rng.integers(0, 2, 40)[units]  # by patient: nothing else explains them
    features = np.eye(40, dtype=np.float32)[units] + rng.normal(0, 0.01, (400, 40)).astype("f4")
    model = Probe(features, labels, units, c=1.0)
    apart = (model.scores(features, units).argmax(1) == labels).mean()
    leaking = (model.scores(features, np.full(400, -1)).argmax(1) == labels).mean()
    assert leaking == 1
    assert apart < 0.75
    assert len(model._fits) == FOLDS + 1


def test_exclusion_reaches_the_score_file(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    for i in range(3):
        write_features(folder / f"r{i}.h5", n=40, patients=(f"p{i}",), seed=i)
    for exclude, seen in (("patient", "no"), ("none", "train")):
        assert probe(folder, folder, tmp_path / exclude, exclude=exclude).exit_code == 0  # type: ignore[arg-type]
        stored = store.read(tmp_path / exclude / "r0.h5")
        assert set(stored["seen"]) == {seen}
        assert np.isfinite(stored["scores"]).all()


def test_a_class_of_one_patient_cannot_be_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    write_features(folder / "a.h5", n=10, patients=("p0",), classes=("a",))
    write_features(folder / "b.h5", n=10, patients=("p1",), classes=("b",))
    assert probe(folder, folder, tmp_path / "out").exit_code == 1
    failure = json.loads((tmp_path / "out" / "a.failed.json").read_text())
    assert "a class has no reference patches left" in str(failure)


def test_a_reference_that_does_not_fit_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_features(tmp_path / "r" / "r.h5", n=1000, patients=("p0", "p1")).parent
    monkeypatch.setattr("histocnn.reference.memory.free", lambda: 1e5)
    words = ["--reference", str(folder), "--query", str(folder), "--out", str(tmp_path / "out")]
    assert main(["probe", *words]) == 1
    assert "1,000 × 8 features would take 0.00019 GB" in (said := capfd.readouterr().err)
    assert "or use knn" in said
    assert main(["compare", "--features", str(folder), *words[-2:]]) == 1
    assert "Compare on fewer slides" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_bad_input(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    single = write_features(tmp_path / "s.h5", n=5, classes=("a",))
    with pytest.raises(FeaturesError, match="all reference patches are 'a'"):
        probe(single, single, tmp_path / "out")
    words = ["probe", "--reference", str(single), "--query", str(single), "--out", "x"]
    assert main([*words, "--c", "0"]) == 2
    assert "--c 0" in capfd.readouterr().err
