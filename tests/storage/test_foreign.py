"""Files pass both ways: ours open as CLAM and TRIDENT open their own, and theirs are read."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from histocnn.storage import foreign, store
from tests.storage.test_store import BARE, COORDS


def test_nothing_is_said_of_a_file_without_patches() -> None:
    assert foreign.coords_attributes({"slide_id": "s1", "mpp": 0.5}) == {}
    assert foreign.coords_attributes({"patch_px": 224}) == {"patch_size": 224, "patch_level": 0}


def test_a_resolution_of_two_axes_is_named_by_its_mean() -> None:
    said = foreign.coords_attributes({"patch_px": 100, "mpp": 1.0, "slide_mpp": (0.4, 0.6)})
    assert said["patch_size_level0"] == 200  # 100 × 1.0 / 0.5
    assert said["level0_magnification"] == 20
    assert said["target_magnification"] == 10


@pytest.mark.parametrize(
    ("shape", "dropped"), [((1, 3, 8), (3, 8)), ((3, 8), (3, 8)), ((2, 3, 8), (2, 3, 8))]
)
def test_a_leading_axis_of_one_is_dropped_and_no_other(
    shape: tuple[int, ...], dropped: tuple[int, ...]
) -> None:
    arrays = foreign.drop_leading_axis({"features": np.zeros(shape), "labels": np.zeros((1, 3, 8))})
    assert np.shape(arrays["features"]) == dropped
    assert np.shape(arrays["labels"]) == (1, 3, 8)


def test_ours_open_as_trident_opens_its_own(tmp_path: Path) -> None:
    """As trident/IO.py read_coords and the pixel arithmetic of its patchers."""
    store.write(tmp_path / "s1.h5", {"coords": COORDS, "features": np.ones((3, 8))}, BARE)
    with h5py.File(tmp_path / "s1.h5", "r") as file:
        attrs = dict(file["coords"].attrs)
        coords = file["coords"][:]
        assert file["features"][:].shape == (3, 8)
    np.testing.assert_array_equal(coords, COORDS)
    assert attrs["patch_size"] == 224
    assert attrs["overlap"] == 24
    assert attrs["level0_magnification"] == 40  # 10 / 0.2527 = 39.57
    assert attrs["target_magnification"] == 20
    assert attrs["patch_size_level0"] == 443  # 224 × 0.5 / 0.2527 = 443.2
    assert (attrs["level0_width"], attrs["level0_height"]) == (1000, 2000)
    assert attrs["name"] == "s1"
    assert all(isinstance(v, str) or np.issubdtype(v.dtype, np.integer) for v in attrs.values())


def test_ours_open_as_clam_opens_its_own(tmp_path: Path) -> None:
    """As dataset_modules/dataset_h5.py Whole_Slide_Bag_FP and CLAM's bags of features."""
    with store.Writer(
        tmp_path / "s1.h5", 3, {"features": ((8,), "f4", np.nan)}, BARE, copy={"coords": COORDS}
    ) as writer:
        writer.put([0, 1, 2], {"features": np.ones((3, 8))})
    with h5py.File(tmp_path / "s1.h5", "r") as file:
        dataset = file["coords"]
        assert (dataset.attrs["patch_level"], dataset.attrs["patch_size"]) == (0, 224)
        assert tuple(dataset[1]) == (443, 0)
        features, coords = file["features"][:], file["coords"][:]
    assert features.dtype == np.float32
    assert len(features) == len(coords) == 3


def test_tridents_files_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "case 7.h5", "w") as file:
        file["features"] = np.ones((1, 3, 8), np.float32)
        coords = file.create_dataset("coords", data=COORDS)
        coords.attrs.update(
            {
                "patch_size": 256,
                "patch_size_level0": 512,
                "level0_magnification": 40,
                "target_magnification": 20,
                "overlap": 64,
                "name": "case 7",
                "savetodir": "None",
                "level0_width": 9000,
                "level0_height": 8000,
            }
        )
    read = store.read(tmp_path / "case 7.h5")
    assert read["features"].shape == (3, 8)
    np.testing.assert_array_equal(read["coords"], COORDS)
    assert store.attributes(tmp_path / "case 7.h5") == {
        "slide_id": "case 7",
        "patch_px": 256,
        "stride_px": 192,
        "mpp": 0.5,
        "slide_mpp": (0.25, 0.25),
        "footprint_l0": (512.0, 512.0),
        "size_l0": (9000, 8000),
    }


def test_clams_files_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        coords = file.create_dataset("coords", data=COORDS)
        coords.attrs["patch_size"] = 256
        coords.attrs["patch_level"] = 1
        coords.attrs["downsample"] = (4.0, 4.001)
        coords.attrs["level_dim"] = (2000, 1500)
        coords.attrs["name"] = "a"
    assert store.attributes(tmp_path / "a.h5") == {
        "slide_id": "a",
        "patch_px": 256,
        "footprint_l0": (1024.0, 1024.256),
    }
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["features"] = np.ones((3, 8))
    assert store.attributes(tmp_path / "b.h5") == {"slide_id": "b"}


def test_our_own_leading_axis_of_one_stays(tmp_path: Path) -> None:
    store.write(tmp_path / "a.h5", {"features": np.ones((1, 3, 8))}, {"slide_id": "a"})
    assert store.read(tmp_path / "a.h5")["features"].shape == (1, 3, 8)
