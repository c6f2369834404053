"""histocnn knn: scores with their reasons, own patients left out, and clear refusals."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from histocnn.cli import main
from histocnn.errors import FeaturesError
from histocnn.reference.cover import NOT_COVERED
from histocnn.stages.knn import knn
from histocnn.storage import store
from tests.feature_files import write_features
from tests.grid_files import write_grid
from tests.memory import PEAK_KIB
from tests.models.patch_files import write_folder


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """Two files, four patients, classes a and b, apart by 2 in the first of 8 features."""
    for number, patients in enumerate((("p0", "p1"), ("p2", "p3"))):
        write_features(tmp_path / "ref" / f"r{number}.h5", n=40, patients=patients, seed=number)
    return tmp_path / "ref"


def scored(file: Path) -> dict[str, np.ndarray]:
    return store.read(file)


def failure(out: Path, name: str) -> str:
    return str(json.loads((out / f"{name}.failed.json").read_text()))


def test_scores_and_their_reasons(reference: Path, tmp_path: Path) -> None:
    write_features(tmp_path / "q" / "q1.h5", n=12, patients=("x",), seed=9)
    out = tmp_path / "out"
    assert knn(reference, tmp_path / "q", out, k=5, metric="euclidean", center=False).exit_code == 0
    found, attributes = scored(out / "q1.h5"), store.attributes(out / "q1.h5")
    parts = [store.read(reference / f"r{i}.h5") for i in (0, 1)]
    x = np.concatenate([p["features"] for p in parts])
    y = np.concatenate([p["labels"] for p in parts])
    query = store.read(tmp_path / "q" / "q1.h5")
    peer = KNeighborsClassifier(5, weights="distance", algorithm="brute").fit(x, y)
    distances, rows = peer.kneighbors(query["features"])
    np.testing.assert_array_equal(found["neighbours"], np.stack([rows // 40, rows % 40], axis=-1))
    np.testing.assert_array_equal(found["neighbour_labels"], y[rows])
    np.testing.assert_allclose(found["distances"], distances, rtol=1e-5)
    np.testing.assert_allclose(found["scores"], peer.predict_proba(query["features"]), atol=1e-4)
    assert found["neighbours"].dtype == np.int32
    assert found["reference_files"] == ["r0.h5", "r1.h5"]
    assert all(len(digest) == 64 for digest in found["reference_sha256"])
    assert found["reference_patient_ids"] == ["p0", "p1", "p2", "p3"]
    assert attributes["scores.class_names"] == ["a", "b"]
    np.testing.assert_array_equal(found["labels"], query["labels"])
    assert set(found["seen"]) == {"no"}


def test_same_folder_leaves_the_own_patient_out(reference: Path, tmp_path: Path) -> None:
    for exclude in ("patient", "none"):
        assert knn(reference, reference, tmp_path / exclude, k=5, exclude=exclude).exit_code == 0  # type: ignore[arg-type]
    ids = [store.read(reference / f"r{i}.h5", "patient_ids")["patient_ids"] for i in (0, 1)]
    for exclude in ("patient", "none"):
        found = scored(tmp_path / exclude / "r0.h5")
        own = [
            [ids[f][r] == ids[0][row] for f, r in neighbours]
            for row, neighbours in enumerate(found["neighbours"].tolist())
        ]
        assert np.any(own) == (exclude == "none")
        assert set(found["seen"]) == {"no" if exclude == "patient" else "train"}
        itself = found["neighbours"] == np.stack([np.zeros(40), np.arange(40)], 1)[:, None]
        assert not itself.all(2).any()


def test_a_reference_that_stays_in_its_files_gives_the_same(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    write_features(reference / "r2.h5", n=30, patients=("p4", ""), nan_rows=(0, 3), seed=4)
    for protocol in ("uni", None):
        read, stay = tmp_path / f"read {protocol}", tmp_path / f"stay {protocol}"
        assert knn(reference, reference, read, k=5, protocol=protocol).exit_code == 0  # type: ignore[arg-type]
        with monkeypatch.context() as patched:
            patched.setattr("histocnn.stages.knn.stays", lambda *_: "the reference is large")
            assert knn(reference, reference, stay, k=5, protocol=protocol).exit_code == 0  # type: ignore[arg-type]
        assert "The reference is large\n" in capsys.readouterr().out
        for name in ("r0.h5", "r1.h5", "r2.h5"):
            one, other = scored(read / name), scored(stay / name)
            assert one.keys() == other.keys()
            for key, values in one.items():
                if isinstance(values, np.ndarray) and values.dtype.kind == "f":
                    np.testing.assert_allclose(other[key], values, rtol=1e-5, atol=1e-6)
                else:
                    np.testing.assert_array_equal(other[key], values)
            recipes = [store.attributes(folder / name)["recipe"] for folder in (read, stay)]
            assert recipes[0] == recipes[1]


def test_an_index_says_what_it_found(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faiss")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    query = write_features(tmp_path / "q.h5", n=12, patients=("x",), seed=9)
    assert knn(reference, query, tmp_path / "out", k=5, index="ivf").exit_code == 0
    notes = json.loads((tmp_path / "out" / "run.json").read_text())["slides"]["q"]["notes"]
    assert "ivf: no index yet, built" in notes
    assert any(note.startswith("ivf: recall@5 ") for note in notes)
    assert store.attributes(tmp_path / "out" / "q.h5")["recipe"]["index"] == "ivf"
    assert knn(reference, query, tmp_path / "exact", k=5).exit_code == 0
    one, other = (scored(tmp_path / name / "q.h5")["scores"] for name in ("out", "exact"))
    np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.slow
def test_memory_is_bounded_by_the_flag(tmp_path: Path) -> None:
    """64,000 × 1,024, 0.79 GB as it is compared in memory, in 0.25 GB beside the libraries."""
    rng = np.random.default_rng(0)
    for i, rows in enumerate([100, *[8_000] * 8]):
        values = rng.standard_normal((rows, 1_024), np.float32).astype(np.float16)
        store.write(
            tmp_path / "ref" / f"s{i}.h5",
            {"features": values, "coords": np.arange(2 * rows).reshape(-1, 2),
             "labels": np.arange(rows) % 2},
            {"slide_id": f"s{i}", "patient_id": f"p{i}", "labels.class_names": ["a", "b"]},
        )  # fmt: skip
    code = (
        "import torch; from sklearn.neighbors import NearestNeighbors;"  # their size is their own
        "from histocnn.reference.memory import resident; from histocnn.stages.knn import knn;"
        f"p, most = {str(tmp_path)!r}, resident() / 1e9 + 0.25;"
        "knn(p + '/ref', p + '/ref/s0.h5', p + '/out', memory_gb=most);"
        f"print({PEAK_KIB} * 1024 / 1e9 / most)"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "block by block" in ran.stdout
    assert float(ran.stdout.split()[-1]) < 1


def test_protocol_uni_is_its_settings(reference: Path, tmp_path: Path) -> None:
    query = write_features(tmp_path / "q.h5", n=10, patients=("x",), seed=3)
    knn(reference, query, tmp_path / "uni", protocol="uni")
    recipe = store.attributes(tmp_path / "uni" / "q.h5")["recipe"]
    expected = {"k": 20, "metric": "euclidean", "weights": "uniform", "center": True,
                "normalise": True}  # fmt: skip
    assert {name: recipe[name] for name in expected} == expected


def test_nan_rows_are_skipped_and_counted(reference: Path, tmp_path: Path) -> None:
    query = write_features(tmp_path / "q" / "q.h5", n=6, patients=("x",), nan_rows=(2,))
    write_features(reference / "r2.h5", n=10, patients=("p4",), nan_rows=(0, 3))
    assert knn(reference, query, tmp_path / "out", k=3).exit_code == 0
    found = scored(tmp_path / "out" / "q.h5")
    for name in ("scores", "distances", "novelty"):
        assert np.isnan(found[name].reshape(6, -1)).all(1).tolist() == [i == 2 for i in range(6)]
    assert (found["neighbours"][2] == -1).all()
    notes = json.loads((tmp_path / "out" / "run.json").read_text())["slides"]["q"]["notes"]
    assert "1 of 6 rows are NaN, not scored" in notes
    assert "2 reference rows are NaN, left out" in notes


def test_novelty_of_what_was_never_seen(reference: Path, tmp_path: Path) -> None:
    write_features(tmp_path / "q" / "near.h5", n=20, patients=("x",), seed=5)
    write_features(tmp_path / "q" / "far.h5", n=20, patients=("x",), seed=5, shift=30)
    knn(reference, tmp_path / "q", tmp_path / "out", k=5, metric="euclidean")
    near, far = (scored(tmp_path / "out" / f"{n}.h5")["novelty"] for n in ("near", "far"))
    assert near.mean() < 75
    assert (far == 100).all()


def test_what_the_reference_does_not_cover_is_said(tmp_path: Path, capsys) -> None:
    """In the slide's line, at the end, in the score file, in run.json and for pictures."""
    for number in range(10):
        write_features(
            tmp_path / "ref" / f"r{number}.h5", n=40, patients=(f"p{number}",), seed=number
        )
    write_features(tmp_path / "q" / "near.h5", n=40, patients=("x",), seed=50)
    write_features(tmp_path / "q" / "far.h5", n=40, patients=("y",), seed=51, shift=1.5)
    assert knn(tmp_path / "ref", tmp_path / "q", tmp_path / "out", k=5).exit_code == 0
    near, far = (store.attributes(tmp_path / "out" / f"{n}.h5")["cover"] for n in ("near", "far"))
    assert (near["covered"], far["covered"]) == (True, False)
    assert near["units"] == far["units"] == 10
    assert near["apart"] <= near["usual"] < far["apart"]
    run = json.loads((tmp_path / "out" / "run.json").read_text())["slides"]
    assert run["far"]["cover"] == far
    shown = capsys.readouterr()
    assert f"10 of its patients from the others up to {far['usual']:.2f}): {NOT_COVERED}" in (
        " ".join(shown.err.split())
    )
    assert shown.out.strip() == "Of 2 files the reference does not cover 1: far"
    # a patient's own rows are left out of the side that it is told apart from
    knn(tmp_path / "ref", tmp_path / "ref", tmp_path / "own", k=5)
    own = [store.attributes(file)["cover"]["apart"] for file in (tmp_path / "own").glob("*.h5")]
    assert max(own) < 0.75


def test_rows_are_not_told_apart_from_themselves(tmp_path: Path) -> None:
    """Of nobody known each row is kept from itself alone: the other side must not hold it."""
    both = [write_features(tmp_path / "r" / f"r{i}.h5", n=40, seed=i) for i in range(2)]
    knn(both[0], both[0], tmp_path / "alone", k=5)
    assert store.attributes(tmp_path / "alone" / "r0.h5")["cover"]["apart"] is None
    knn(tmp_path / "r", both[0], tmp_path / "beside", k=5)
    assert 0.3 < store.attributes(tmp_path / "beside" / "r0.h5")["cover"]["apart"] < 0.7


def test_an_empty_query_gives_an_empty_file(reference: Path, tmp_path: Path) -> None:
    write_features(tmp_path / "q" / "q.h5", n=0, patients=("x",))
    assert knn(reference, tmp_path / "q", tmp_path / "out", k=5).exit_code == 0
    assert scored(tmp_path / "out" / "q.h5")["scores"].shape == (0, 2)


@pytest.mark.parametrize("leading", [False, True], ids=["clam", "trident"])
def test_foreign_features_are_accepted(reference: Path, tmp_path: Path, leading: bool) -> None:
    values = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    (tmp_path / "q").mkdir()
    with h5py.File(tmp_path / "q" / "slide7.h5", "w") as file:
        file["features"] = values[None] if leading else values
        file["coords"] = np.arange(10).reshape(5, 2)
    assert knn(reference, tmp_path / "q", tmp_path / "out", k=5).exit_code == 0
    assert scored(tmp_path / "out" / "slide7.h5")["scores"].shape == (5, 2)


def test_what_does_not_fit_is_refused(reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_features(tmp_path / "q" / "wide.h5", n=5, patients=("x",), width=9)
    write_features(tmp_path / "q" / "other.h5", n=5, patients=("x",), network={"backbone": "vgg"})
    write_features(tmp_path / "q" / "fine.h5", n=5, patients=("x",), mpp=0.25)
    write_features(tmp_path / "q" / "inf.h5", n=5, patients=("x",), shift=np.inf)
    write_features(tmp_path / "q" / "nan.h5", n=2, patients=("x",), nan_rows=(0, 1))
    write_features(tmp_path / "q" / "good.h5", n=5, patients=("x",))
    assert knn(reference, tmp_path / "q", out, k=5).exit_code == 1
    assert "features of width 8 and 9" in failure(out, "wide")
    assert "different recipes: backbone 'tiny' / 'vgg'" in failure(out, "other")
    assert "0.5 and 0.25 µm/px" in failure(out, "fine")
    assert "infinite values in 5 rows" in failure(out, "inf")
    assert "all 2 rows are NaN" in failure(out, "nan")
    assert (out / "good.h5").exists()


def test_a_reference_that_teaches_nothing_is_refused(reference: Path, tmp_path: Path) -> None:
    query = write_features(tmp_path / "q.h5", n=5, patients=("x",))
    unlabelled = write_features(tmp_path / "u.h5", n=5, patients=("p",), labelled=False)
    with pytest.raises(FeaturesError, match="none of 5 reference patches has a label"):
        knn(unlabelled, query, tmp_path / "out")
    single = write_features(tmp_path / "s.h5", n=5, patients=("p",), classes=("a",))
    with pytest.raises(FeaturesError, match="all reference patches are 'a'"):
        knn(single, query, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FeaturesError, match=r"no \.h5 files"):
        knn(tmp_path / "empty", query, tmp_path / "out")
    assert knn(reference, query, tmp_path / "out", k=81).exit_code == 1
    assert "k = 81 neighbours asked of 80 reference rows" in failure(tmp_path / "out", "q")
    assert knn(reference, reference, tmp_path / "out", k=61).exit_code == 1
    assert "60 reference rows that remain after exclusion" in failure(tmp_path / "out", "r0")


def test_wrong_usage_exits_with_2(
    reference: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["knn", "--reference", str(reference), "--query", str(reference), "--out"]
    assert main([*words, str(tmp_path / "o"), "--k", "0"]) == 2
    assert "--k 0" in capfd.readouterr().err


def test_sheet_and_map(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, "s1")
    folder = write_folder(tmp_path / "images", patients=5)
    write_features(tmp_path / "q" / "s1.h5", like=grid)
    write_features(tmp_path / "ref" / "images.h5", like=folder, mpp=1.0)
    out = tmp_path / "out"
    assert knn(tmp_path / "ref", tmp_path / "q", out, k=3, explain=1,
               explain_at=((100, 100), (9999, 0)), map=True).exit_code == 0  # fmt: skip
    assert (out / "s1_neighbours.png").stat().st_size > 10_000
    notes = json.loads((out / "run.json").read_text())["slides"]["s1"]["notes"]
    assert "no scored patch at (9999, 0)" in notes
    assert (out / "map.png").stat().st_size > 5_000


def test_the_map_knows_the_patients_of_slides_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_features(
        tmp_path / "ref" / "r.h5", like=write_folder(tmp_path / "images", patients=5), mpp=1.0
    )
    query = write_features(tmp_path / "q" / "s1.h5", like=write_grid(tmp_path, "s1"))
    (tmp_path / "s1.tif").touch()
    sheet = tmp_path / "slides.csv"
    sheet.write_text("slide_id,slide_path,patient_id\ns1,s1.tif,told\n")
    drawn = []
    monkeypatch.setattr(
        "histocnn.pictures.feature_map.draw_map", lambda *given: drawn.append(given)
    )
    done = knn(tmp_path / "ref", query, tmp_path / "out", k=3, map=True, slides=sheet)
    assert done.exit_code == 0
    assert set(drawn[0][1].patient_ids) == {"told"}


def test_images_of_unknown_scale_are_not_compared_with_slides(tmp_path: Path) -> None:
    write_features(tmp_path / "q" / "s1.h5", like=write_grid(tmp_path, "s1"))
    folder = write_folder(tmp_path / "images", patients=5)
    for name, mpp, said in (
        ("unknown", None, r"unknown\.h5: images of unknown µm/px, and .*s1\.h5 patches at 1\. "
                          r"Embed the images again with their --mpp"),
        ("other", 1.2, r"patches at 1\.2 and 1 µm/px"),
    ):  # fmt: skip
        file = write_features(tmp_path / name / f"{name}.h5", like=folder, mpp=mpp)
        if mpp is None:
            with pytest.raises(FeaturesError, match=said):
                knn(tmp_path / name, tmp_path / "q", tmp_path / "out", k=3)
            assert knn(file, file, tmp_path / "alone", k=3).exit_code == 0
        else:
            assert knn(tmp_path / name, tmp_path / "q", tmp_path / "out", k=3).exit_code == 1
            assert re.search(said, failure(tmp_path / "out", "s1"))
