"""What a session saves is read by QuPath's reader, by knn and by train; sessions never meet."""

from __future__ import annotations

import errno
import json
import secrets
from pathlib import Path

import h5py
import numpy as np
import pytest
import shapely

from histocnn.errors import StoreError, UsageError
from histocnn.patches.patches import FilePatches
from histocnn.reference.features import load
from histocnn.regions.annotations import read_annotations
from histocnn.stages.knn import knn
from histocnn.storage import store
from histocnn.viewing.taught_files import Taught, TaughtFiles, is_session
from tests.feature_files import write_features
from tests.grid_files import write_grid

MARKUP = "<img src=x onerror=alert(1)>"


def slide(folder: Path, name: str = "s1", patient: str = "p1") -> Path:
    size = (280, 140 + int(name[1:]))  # no two slides hold the same bytes
    grid = write_grid(folder, name, size=size, mpp=0.5, patient_id=patient)
    (folder / "features").mkdir(exist_ok=True)
    return write_features(folder / "features" / f"{name}.h5", like=grid)


def taught(file: Path, names: tuple[str, ...] = ("tumour", MARKUP)) -> Taught:
    labels = np.full(store.rows(file), -1)
    labels[[1, 7, 2, 8, 4]] = [0, 0, 1, 1, 1]
    areas = [(names[0], shapely.box(28, 0, 56, 56)), (names[1], shapely.box(56, 0, 290, 56))]
    return Taught(labels, names, areas, (280, 140))


def test_a_reference_holds_the_labelled_patches_as_embed_has_them(tmp_path: Path) -> None:
    file = slide(tmp_path)
    saved = TaughtFiles(tmp_path / "taught", FilePatches(file), "ana").save(taught(file))
    assert saved.counts == {"tumour": 2, MARKUP: 3}
    everything, found = load([file]), load([saved.reference])
    rows = [1, 2, 4, 7, 8]
    np.testing.assert_array_equal(found.values, everything.values[rows])
    assert found.class_names == (MARKUP, "tumour")
    assert found.labels.tolist() == [1, 0, 0, 1, 0]
    assert (found.slide_ids, found.patient_ids) == (["s1"] * 5, ["p1"] * 5)
    assert (found.network, found.cohorts) == (everything.network, everything.cohorts)
    coords, all_coords = (FilePatches(each).coords for each in (saved.reference, file))
    assert coords is not None
    assert all_coords is not None
    np.testing.assert_array_equal(coords, all_coords[rows])
    assert "ana" in saved.reference.name
    assert saved.reference.stem == saved.annotation.stem


def test_knn_takes_the_folder(tmp_path: Path) -> None:
    for name, patient in (("s1", "p1"), ("s2", "p2")):
        file = slide(tmp_path, name, patient)
        TaughtFiles(tmp_path / "taught", FilePatches(file)).save(taught(file, ("a", "b")))
    result = knn(tmp_path / "taught", tmp_path / "features", tmp_path / "scores", k=5)
    assert not result.failures
    attributes = store.attributes(tmp_path / "scores" / "s1.h5")
    assert attributes["scores.class_names"] == ["a", "b"]


def test_train_takes_the_folder(tmp_path: Path) -> None:
    from histocnn.models.data import PatchDataModule
    from histocnn.models.options import DataOptions

    for number in range(3):
        file = slide(tmp_path, f"s{number}", f"p{number}")
        TaughtFiles(tmp_path / "taught", FilePatches(file)).save(taught(file, ("a", "b")))
    thirds = (1 / 3, 1 / 3, 1 / 3)
    data = PatchDataModule(
        DataOptions(tmp_path / "taught", workers=0, fractions=thirds, augment="none")
    )
    assert data.class_names == ["a", "b"]
    assert [len(data.rows[part]) for part in ("train", "val", "test")] == [5, 5, 5]
    batch = next(iter(data.loader("train")))
    assert tuple(batch["pixels"].shape) == (5, 28, 28, 3)


def test_the_annotation_is_qupaths_and_markup_in_names_is_text(tmp_path: Path) -> None:
    file = slide(tmp_path)
    saved = TaughtFiles(tmp_path, FilePatches(file)).save(taught(file))
    drawn = read_annotations(saved.annotation, (280, 140))
    assert {name: area.area for name, area in drawn.classes.items()} == {
        "tumour": 28 * 56, MARKUP: 224 * 56,  # cut at the slide's edge
    }  # fmt: skip
    first, second = json.loads(saved.annotation.read_text())["features"]
    assert first["properties"]["objectType"] == "annotation"
    assert second["properties"]["classification"]["name"] == MARKUP
    assert first["properties"]["classification"]["color"] == [213, 94, 0]  # tumours are warm


def test_a_slide_with_bounds_is_written_in_qupaths_frame(tmp_path: Path) -> None:
    file = slide(tmp_path)
    patches = FilePatches(file)
    patches.attributes["bounds_l0"] = (20, 10, 200, 100)
    saved = TaughtFiles(tmp_path, patches).save(taught(file))
    [box, _] = json.loads(saved.annotation.read_text())["features"]
    assert shapely.from_geojson(json.dumps(box["geometry"])).bounds == (8, -10, 36, 46)


def test_two_sessions_never_write_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = slide(tmp_path)
    ids = iter(["aaaa", "aaaa", "aaaa", "bbbb", "cccc"])
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(ids))
    # Both begin before either has saved, in the same second, with the same random id.
    one, two = (TaughtFiles(tmp_path / "t", FilePatches(file), "ana") for _ in range(2))
    two.began = one.began
    first = one.save(taught(file, ("a", "b")))
    kept = first.reference.read_bytes()
    second = two.save(taught(file, ("c", "d")))
    assert first.reference != second.reference
    assert first.reference.read_bytes() == kept
    again = one.save(taught(file, ("e", "f")))  # its own files are renewed
    assert again.reference == first.reference
    assert load([again.reference]).class_names == ("e", "f")
    assert len(list((tmp_path / "t").iterdir())) == 4


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = slide(tmp_path)
    files = TaughtFiles(tmp_path / "t", FilePatches(file))
    saved = files.save(taught(file))
    kept = saved.reference.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(h5py.File, "create_dataset", full)
    with pytest.raises(StoreError, match="the disk is full"):
        files.save(taught(file, ("c", "d")))
    assert saved.reference.read_bytes() == kept
    assert {path.suffix for path in (tmp_path / "t").iterdir()} == {".h5", ".geojson"}


def test_what_cannot_be_saved_is_said(tmp_path: Path) -> None:
    file = slide(tmp_path)
    with pytest.raises(UsageError, match="cannot be part of a file's name"):
        TaughtFiles(tmp_path, FilePatches(file), "../ana")
    files = TaughtFiles(tmp_path / "t", FilePatches(file))
    nothing = Taught(np.full(store.rows(file), -1), (), (), (280, 140))
    with pytest.raises(UsageError, match="nothing is labelled"):
        files.save(nothing)
    write_features(file, n=60)
    with pytest.raises(StoreError, match="was written anew"):
        files.save(taught(file))
    assert not (tmp_path / "t").exists()


def test_ids_are_long_enough_to_be_ones_own(tmp_path: Path) -> None:
    file = slide(tmp_path)
    sessions = {TaughtFiles(tmp_path, FilePatches(file)).session for _ in range(50)}
    assert len(sessions) == 50
    assert {len(each) for each in sessions} == {16}
    named = TaughtFiles(tmp_path, FilePatches(file), "ana").paths
    assert all(is_session(path.stem) for path in named)
    assert not is_session(file.stem)
    assert secrets.token_hex(8) not in sessions
