"""The one loop: rows in order, unreadable ones NaN, the same whatever batch and threads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
import torch

from histocnn.errors import ModelError, PatchesError, SlideError
from histocnn.models.infer import Loading, Shares, infer, write_results
from histocnn.models.runner import Runner
from histocnn.patches.patch_set import QUALITY
from histocnn.patches.patches import FilePatches, Patches, open_patches
from histocnn.patches.quality import Quality
from histocnn.storage import store
from tests.grid_files import write_grid
from tests.models.patch_files import patch, write_folder
from tests.models.small_networks import all_features, feature_runner

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Patches:
    return open_patches(write_folder(tmp_path_factory.mktemp("p") / "set", patients=3))[0]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return feature_runner(tmp_path_factory.mktemp("w"))


def test_features_do_not_depend_on_batch_or_threads(patches: Patches, runner: Runner) -> None:
    expected = all_features(patches, runner, batch_size=64, threads=1)
    assert expected.shape == (36, 84)
    assert np.ptp(expected, axis=0).max() > 0.01
    for batch_size, threads in ((1, 1), (7, 3), (36, 2)):
        found = all_features(patches, runner, batch_size=batch_size, threads=threads)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_unreadable_patches_are_nan_in_every_array(tmp_path: Path, runner: Runner) -> None:
    folder = write_folder(tmp_path / "set", patients=1)
    (folder / "a" / "p00_2.png").write_bytes(b"")
    [patches] = open_patches(folder)
    shares = Shares()
    [(_, arrays)] = infer(patches, runner, shares=shares)
    for name in ("features", "colour"):
        assert np.isnan(arrays[name]).all(1).tolist() == [i == 2 for i in range(12)]
    assert shares.compute > 0
    assert shares.pixels > 0


def test_colour_is_of_the_pixels_as_read(patches: Patches, runner: Runner) -> None:
    _, arrays = next(infer(patches, runner, normalise=np.zeros_like))
    mean, deviation = cv2.meanStdDev(patch(0, 0)[..., ::-1])
    np.testing.assert_allclose(arrays["colour"][0], np.hstack([mean.T, deviation.T])[0], rtol=1e-5)
    assert np.ptp(arrays["features"], axis=0).max() == 0  # the network saw black throughout


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_network_that_gives_nothing_for_a_patch_that_was_read_fails_its_slide(
    patches: Patches, tmp_path: Path, value: float
) -> None:
    def broken(pixels: np.ndarray) -> dict[str, torch.Tensor]:
        return {"scores": torch.full((len(pixels), 2), value)}

    with pytest.raises(ModelError, match=r"scores are NaN or infinite for 36 of 36 patches"):
        write_results(
            tmp_path / "a.h5", patches, broken, attributes={}, tick=lambda done, total: None
        )
    assert list(tmp_path.iterdir()) == []


def _written(target: Path, patches: Patches, runner: Runner) -> dict[str, Any]:
    loading = Loading(batch_size=4)
    ticks: list[int] = []
    return write_results(
        target,
        patches,
        runner,
        attributes={},
        tick=lambda *done: ticks.extend(done),
        loading=loading,
    )


def test_the_network_computes_every_patch_once_and_nothing_else(
    tmp_path: Path, patches: Patches, runner: Runner
) -> None:
    given: list[int] = []

    def counted(pixels: np.ndarray) -> dict[str, torch.Tensor]:
        given.append(len(pixels))
        return runner(pixels)

    how: dict[str, Any] = {"attributes": {}, "tick": lambda done, total: None}
    write_results(tmp_path / "a.h5", patches, counted, loading=Loading(batch_size=10), **how)
    assert given == [10, 10, 10, 6]
    assert store.read(tmp_path / "a.h5")["features"].shape == (36, 84)


def test_quality_is_measured_once_and_carried_on(tmp_path: Path, runner: Runner) -> None:
    (tmp_path / "s").mkdir()
    write_grid(tmp_path / "s")
    [patches] = open_patches(tmp_path / "s" / "grids")
    _written(tmp_path / "a.h5", patches, runner)
    found = store.read(tmp_path / "a.h5")
    assert {name: found[name].shape for name in QUALITY} == dict.fromkeys(QUALITY, (len(patches),))
    whole = Quality(len(patches), patches.mpp or 0)
    for batch in patches.batches(batch_size=3):
        whole.see(batch)
    for name, values in whole.columns().items():
        assert np.array_equal(found[name], values, equal_nan=True)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["pen_fraction"][:] = 0.125
    again = FilePatches(tmp_path / "a.h5")
    _written(tmp_path / "b.h5", again, runner)
    assert (store.read(tmp_path / "b.h5")["pen_fraction"] == 0.125).all()


def test_a_batch_of_which_nothing_can_be_read_is_nan(tmp_path: Path, runner: Runner) -> None:
    folder = write_folder(tmp_path / "set", patients=1)
    for path in sorted(folder.glob("*/*.png"))[4:8]:
        path.write_bytes(b"")
    [patches] = open_patches(folder)
    notes = _written(tmp_path / "a.h5", patches, runner)["notes"]
    assert notes[0] == "4 of 12 patches unreadable, NaN"


def test_a_slide_of_which_no_patch_can_be_read_fails(tmp_path: Path, runner: Runner) -> None:
    write_grid(tmp_path, size=(500, 400), damaged=True)  # its level has one tile
    [patches] = open_patches(tmp_path / "grids")
    with pytest.raises(PatchesError, match=r"s1: none of its \d+ patches can be read"):
        _written(tmp_path / "b.h5", patches, runner)
    assert not (tmp_path / "b.h5").exists()


def test_a_slide_that_is_cut_short_while_it_is_read_fails(tmp_path: Path, runner: Runner) -> None:
    write_grid(tmp_path)
    [patches] = open_patches(tmp_path / "grids")
    slide = tmp_path / "slides" / "s1.tiff"

    def cut(pixels: np.ndarray) -> dict[str, torch.Tensor]:
        os.truncate(slide, slide.stat().st_size - 1)
        return runner(pixels)

    patches.slide.fingerprint  # noqa: B018 taken before anything is read
    with pytest.raises(SlideError, match=r"s1\.tiff: was changed while it was read"):
        _written(tmp_path / "b.h5", patches, cut)
    assert not (tmp_path / "b.h5").exists()
