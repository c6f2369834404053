"""Feature files as rows: joined by class name, checked to fit, groups left out."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from histocnn import cli
from histocnn.errors import FeaturesError
from histocnn.metrics.terms import NOBODYS, UNKNOWN, Terms
from histocnn.reference.features import check_same, feature_files, load
from histocnn.storage import store
from tests.feature_files import write_features


def test_files_are_joined_and_classes_matched_by_name(tmp_path: Path) -> None:
    one = write_features(tmp_path / "1.h5", n=4, classes=("tumour", "normal"), nan_rows=[1])
    two = write_features(tmp_path / "2.h5", n=3, classes=("fat", "normal"), seed=1)
    both = load([one, two])
    assert len(both) == 6
    assert both.class_names == ("fat", "normal", "tumour")
    assert both.labels.tolist() == [2, 2, 1, 0, 1, 0]  # row 1 of the first is NaN
    assert both.file.tolist() == [0, 0, 0, 1, 1, 1]
    assert both.row.tolist() == [0, 2, 3, 0, 1, 2]
    assert both.unreadable == 1
    assert both.values.dtype == np.float32
    np.testing.assert_array_equal(both.values[3:], store.read(two, "features")["features"])
    assert both.only(np.array([5, 0])).row.tolist() == [2, 0]


def test_a_reference_has_labels_of_two_classes_and_no_names_without_rows(tmp_path: Path) -> None:
    classes = ("a", "none of these", "z")
    file = write_features(tmp_path / "1.h5", n=6, classes=classes)
    rows = load([file])
    kept = rows.only(rows.labels != 1).labelled()
    assert kept.class_names == ("a", "z")
    assert kept.labels.tolist() == [0, 1, 0, 1]
    with pytest.raises(FeaturesError, match="all reference patches are 'a'"):
        rows.only(rows.labels == 0).labelled()
    with pytest.raises(FeaturesError, match="none of 3 reference patches has a label"):
        load([write_features(tmp_path / "2.h5", n=3, labelled=False)]).labelled()


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"width": 9}, "features of width 8 and 9"),
        (
            {"network": {"backbone": "tiny", "weights": "1"}},
            "different recipes: weights '0+' / '1'",
        ),
        ({"mpp": 0.6}, "patches at 0.5 and 0.6 µm/px"),
    ],
)
def test_features_that_were_not_made_alike_are_refused(
    tmp_path: Path, other: dict[str, object], difference: str
) -> None:
    one = load([write_features(tmp_path / "1.h5")])
    two = load([write_features(tmp_path / "2.h5", **other)])  # type: ignore[arg-type]
    with pytest.raises(FeaturesError, match=difference):
        check_same(one, two)
    check_same(one, load([write_features(tmp_path / "3.h5", seed=4, mpp=0.502)]))  # rounding


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (np.zeros(4), r"features of shape \(4,\)"),
        (np.full((2, 3), np.inf), "infinite values in 2 rows"),
        (np.full((2, 3), np.nan), "all 2 rows are NaN"),
    ],
)
def test_what_are_no_features_is_said(tmp_path: Path, features: np.ndarray, said: str) -> None:
    store.write(tmp_path / "a.h5", {"features": features, "paths": ["x"] * len(features)}, {})
    with pytest.raises(FeaturesError, match=said):
        load([tmp_path / "a.h5"])


def test_a_folder_without_features_is_said(tmp_path: Path) -> None:
    with pytest.raises(FeaturesError, match=r"no \.h5 files"):
        feature_files(tmp_path)
    file = write_features(tmp_path / "b.h5")
    assert feature_files(tmp_path) == feature_files(file) == [file]


def test_foreign_files_are_of_the_slide_that_they_name(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "case7_patches.h5", "w") as file:
        file["features"] = np.zeros((1, 3, 4), np.float32)
        file["coords"] = np.zeros((1, 3, 2), np.int64)
        file["coords"].attrs["name"] = "case7"
    assert load([tmp_path / "case7_patches.h5"]).slide_ids == ["case7"] * 3


def test_labels_without_names_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "theirs.h5", "w") as file:
        file["features"] = np.zeros((3, 4), np.float32)
        file["coords"] = np.zeros((3, 2), np.int64)
        file["labels"] = [0, 1, 0]
    with pytest.raises(FeaturesError, match=r"theirs\.h5: labels up to 1 of 0 named classes"):
        load([tmp_path / "theirs.h5"])


@pytest.mark.parametrize("command", ["knn", "probe"])
def test_a_zip_named_as_features_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (tmp_path / "f.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    features = str(write_features(tmp_path / "features.h5", n=8))
    for query, reference in ((tmp_path / "f.zip", features), (features, tmp_path / "f.zip")):
        words = ["--query", str(query), "--reference", str(reference)]
        assert cli.main([command, *words, "--out", str(tmp_path / "out")]) == 1
        said = capsys.readouterr().err
        assert "f.zip: a zip archive. Unzip it" in said
        assert said.count("\n") == 1
        assert not (tmp_path / "out").exists()


def test_a_network_of_our_own_is_nobodys_where_all_files_say_so(tmp_path: Path) -> None:
    files = [write_features(tmp_path / f"{i}.h5", n=4) for i in range(2)]
    for file in files:
        assert load(files).terms == UNKNOWN
        store.write(file, store.read(file), store.attributes(file) | {"encoder": NOBODYS.to_dict()})
    assert load(files).terms == NOBODYS
    uni = Terms("uni", "CC-BY-NC-ND-4.0", ("commercial use",))
    store.write(file, store.read(file), store.attributes(file) | {"encoder": uni.to_dict()})
    assert load(files).terms == uni
