"""What comes in through the door: of the right shape, kind and range, or one line that says not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from histocnn.errors import FeaturesError, StoreError
from histocnn.patches import door
from histocnn.patches.patches import FilePatches
from histocnn.reference.features import load
from histocnn.scores.scorefile import open_score_file
from histocnn.storage import hdf5, store

N = 4
SCORES = np.array([[0.25, 0.75], [1, 0], [np.nan, np.nan], [0.5, 0.5]], np.float32)
SOUND: dict[str, Any] = {
    "coords": np.array([[0, 0], [10, 0], [0, 10], [10, 10]]),
    "labels": np.array([0, 1, -1, 0]),
    "features": np.eye(4, dtype=np.float32),
    "scores": SCORES,
}
SAID: dict[str, Any] = {
    "slide_id": "s",
    "patch_px": 10,
    "mpp": 0.5,
    "stride_px": 10,
    "slide_mpp": (0.5, 0.5),
    "size_l0": (20, 20),
    "labels.class_names": ["a", "b"],
    "scores.class_names": ["a", "b"],
}


def write(path: Path, **changed: Any) -> Path:
    arrays = {k: changed.pop(k, v) for k, v in SOUND.items()}
    store.write(path, arrays, SAID)
    with h5py.File(path, "r+") as file:  # as somebody else would have written it
        for name, value in changed.items():
            dataset, _, attribute = name.rpartition("__")
            target = file[dataset].attrs if dataset else file.attrs
            target[attribute if dataset else f"histocnn_{name}"] = hdf5.encode(value)
    return path


def test_what_is_sound_comes_in(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    np.testing.assert_array_equal(door.read(path, "scores")["scores"], SCORES)
    assert door.read(path, "coords")["coords"].tolist() == SOUND["coords"].tolist()
    assert door.attributes(path) == SAID
    assert len(load([path])) == N
    assert open_score_file(path).scores().shape == (N, 2)


@pytest.mark.parametrize("dtype", [np.int32, np.uint16, np.float32])
def test_whole_numbers_come_in_as_such(tmp_path: Path, dtype: Any) -> None:
    path = write(tmp_path / "a.h5", coords=SOUND["coords"].astype(dtype))
    assert door.read(path, "coords")["coords"].dtype == np.int64


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (np.full((N, 2), 0.4), "4 of 4 rows of its scores do not sum to 1"),
        (np.tile([-0.5, 1.5], (N, 1)), "lie between -0.5 and 1.5"),
        (np.tile([np.inf, 0], (N, 1)), "lie between 0 and inf"),
        (np.tile([np.nan, 1], (N, 1)), "do not sum to 1"),
        (np.tile(["a", "b"], (N, 1)), r"texts of shape \(4, 2\)"),
        (["a"] * N, "do not fit|are texts"),
        (np.full(N, 0.5), "do not fit"),
        (np.full((N, 2, 1), 0.5), "do not fit"),
        (np.full((N, 3), 1 / 3), "do not fit"),
        (np.full((N + 1, 2), 0.5), "do not fit"),
        (np.full((N, 2), 0.5 + 0j), "of type complex128"),
    ],
)
def test_what_are_no_scores_is_one_line(tmp_path: Path, scores: Any, said: str) -> None:
    path = write(tmp_path / "a.h5", scores=scores)
    with pytest.raises(StoreError, match=said) as caught:
        open_score_file(path).scores()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"coords": SOUND["coords"] + 0.5}, "coords are not all whole"),
        ({"coords": np.full((N, 2), np.nan)}, "coords are not all whole"),
        ({"coords": np.full((N, 2), 1e18)}, "coords lie between"),
        ({"coords": np.zeros(N, int)}, r"coords have the shape \(4,\)"),
        ({"coords": ["0 0"] * N}, "coords are texts"),
        ({"labels": np.zeros(3, int)}, "3 labels for 4 patches"),
        ({"labels": np.array([0, 1, 2, 0])}, "labels 0 to 2 of 2 named classes"),
        ({"labels": np.array([0, -7, 0, 0])}, "labels -7 to 0 of 2 named classes"),
        ({"labels": ["a"] * N}, "labels are texts"),
        ({"mpp": -1.0}, "its mpp is -1.0, not a positive number"),
        ({"mpp": "half"}, "its mpp is 'half'"),
        ({"mpp": [0.5, 0.5]}, "its mpp is"),
        ({"patch_px": 0}, "its patch_px is 0, not a whole number"),
        ({"patch_px": 1e9}, "its patch_px is"),
        ({"slide_mpp": 0.5}, "its slide_mpp is 0.5, not two"),
        ({"slide_mpp": (np.nan, 0.5)}, "its slide_mpp is"),
        ({"size_l0": (10,)}, "its size_l0 is"),
        ({"slide_id": {"a": 1}}, "its slide_id is"),
        ({"labels__class_names": [1, 2]}, "its labels.class_names is"),
        ({"labels__class_names": "ab"}, "its labels.class_names is"),
        ({"recipe": []}, "its recipe is"),
    ],
)
def test_what_is_no_grid_is_one_line(tmp_path: Path, changed: Any, said: str) -> None:
    patches = FilePatches(write(tmp_path / "a.h5", **changed))
    with pytest.raises(StoreError, match=said) as caught:
        _ = patches.datasets, patches.labels
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "a.h5") in str(caught.value)


def test_features_as_the_docs_say_but_without_our_attributes_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["features"] = np.eye(3, dtype=np.float32)
        file["coords"] = [[0, 0], [1, 0], [2, 0]]
        file["labels"] = [0, 1, -1]
        file["labels"].attrs["class_names"] = ["normal", "tumour"]
    found = load([tmp_path / "a.h5"])
    assert found.class_names == ("normal", "tumour")
    assert found.labels.tolist() == [0, 1, -1]
    assert found.slide_ids == ["a"] * 3


@pytest.mark.parametrize("kind", ["S6", object])
def test_names_may_be_texts_of_either_kind(tmp_path: Path, kind: Any) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["labels"] = [0, 1]
        file["labels"].attrs["class_names"] = np.array(["normal", "tumour"], kind)
    assert door.attributes(tmp_path / "a.h5")["labels.class_names"] == ["normal", "tumour"]


def test_features_are_rows_of_one_width(tmp_path: Path) -> None:
    assert door.read_features(write(tmp_path / "a.h5")).shape == (N, N)
    with pytest.raises(FeaturesError, match=r"features of shape \(4,\)"):
        door.read_features(write(tmp_path / "b.h5", features=np.zeros(N)))


def test_every_dataset_has_a_row_per_patch() -> None:
    door.check_rows({"a": [1, 2], "b": np.zeros((2, 3))}, 2, Path("a.h5"))
    with pytest.raises(StoreError, match="3 b for 2 patches"):
        door.check_rows({"a": [1, 2], "b": [1, 2, 3]}, 2, Path("a.h5"))


def test_no_other_room_reads_past_the_door() -> None:
    package = Path(door.__file__).parents[1]
    past = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "store.read(" in (text := path.read_text(encoding="utf-8"))
        or "store.attributes(" in text
    ]
    # The jobs lie below the door: of a file they read the recipe alone, and believe only its stage.
    assert sorted(past) == ["jobs/claims.py", "patches/door.py"]
