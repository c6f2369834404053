"""Dense scores of validation give temperature and operating points by the rule of patches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from histocnn.metrics.calibration import Prior, fit_temperature, operating_points, shrunk
from histocnn.models import dense_calibration as module
from histocnn.models.data import PatchDataModule
from histocnn.models.dense_calibration import dense_calibration
from histocnn.models.options import DataOptions
from histocnn.models.spec import ModelSpec, load, read_spec
from histocnn.stages.predict import predict
from histocnn.stages.tile import tile
from histocnn.stages.train import train
from histocnn.storage import store
from tests.models.dense_files import NAME, SIDE_PX, write_valid
from tests.models.patch_files import write_folder
from tests.slide_files import damage_tile, position_image, write_pyramid
from tests.stages.judged_cohort import write_geojson

CPU = torch.device("cpu")
PARTS = {"s0": "train", "s1": "val", "s2": "val", "s3": "test"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """slides.csv, four slides of 400 px with class b at the lower right, grids, and a network."""
    folder = tmp_path_factory.mktemp("dense_calibration")
    rows = ["slide_id,slide_path,patient_id,split,annotation_path,background"]
    write_geojson(folder / "b.geojson", [(150, 150, 250)], "b")
    for number, (name, split) in enumerate(PARTS.items()):
        image = np.roll(position_image(400, 400), 17 * number, axis=1)
        write_pyramid(folder / f"{name}.tiff", image, mpp=1.0)
        rows.append(f"{name},{name}.tiff,p{number},{split},b.geojson,a")
    damage_tile(folder / "s2.tiff", level=0, col=0, row=0)
    (folder / "slides.csv").write_text("\n".join(rows))
    options: dict[str, Any] = {"patch_px": SIDE_PX, "mpp": 1.0, "min_tissue": 0.0}
    assert tile(folder / "slides.csv", folder / "grids", **options).exit_code == 0
    write_valid(folder / "valid.safetensors", mpp=1.0)
    return folder


def data_of(place: Path, **options: Any) -> PatchDataModule:
    usual = {"patches": place / "grids", "slides": place / "slides.csv", "workers": 0}
    return PatchDataModule(DataOptions(**usual | options))


def calibration_of(place: Path, **options: Any) -> dict[str, Any]:
    network, spec = load(place / "valid.safetensors", backbone=NAME)
    return dense_calibration(network, spec, data_of(place, **options), CPU)


def test_it_is_fitted_on_what_predict_gives_of_the_slides_of_validation(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "choose_bf16", lambda *_: False)
    found, files = calibration_of(place), []
    for name in ("s1", "s2"):
        predict(
            place / "grids" / f"{name}.h5", place / "valid.safetensors", tmp_path, dense=True,
            precision="fp32", backbone=NAME, slides=place / "slides.csv",
        )  # fmt: skip
        files.append(store.read(tmp_path / f"{name}.h5"))
    scores, labels = (np.concatenate([file[key] for file in files]) for key in ("scores", "labels"))
    assert np.isnan(scores).any()  # what cannot be decoded takes no part
    assert (labels == -1).any()
    temperature = shrunk(fit_temperature(np.log(scores), labels), 2)  # two patients
    assert found["temperature"] == pytest.approx(temperature, rel=1e-3)
    softened = scores.astype(float) ** (1 / temperature)
    softened /= softened.sum(axis=1, keepdims=True)
    prior = Prior(tuple(data_of(place).prior("train").values()), 2)
    for name, points in operating_points(softened, labels, ["a", "b"], prior).items():
        for point, values in points.items():
            assert found["thresholds"][name][point] == pytest.approx(values, abs=1e-3)
    facts = found["validation"]
    assert facts["patches"] == ((labels >= 0) & ~np.isnan(scores[:, 0])).sum()
    assert (facts["groups"], facts["unit"]) == (2, "patients")


@pytest.mark.filterwarnings("ignore")  # Lightning's and torch's of each other
def test_training_on_grids_writes_it(place: Path, tmp_path: Path) -> None:
    train(
        out=tmp_path,
        data={"patches": place / "grids", "slides": place / "slides.csv", "workers": 0},
        model={"backbone": NAME, "weights": None},
        trainer={"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False},
    )
    spec = read_spec(tmp_path / "model.safetensors")
    assert spec.is_dense_calibrated
    assert spec.scoring({}, [], [], dense=True).temperature == spec.dense["temperature"]
    assert spec.dense["validation"]["patches"] > 20 * spec.validation["patches"]


def test_of_a_large_cohort_regions_are_drawn(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = 2 * 43**2  # windows of two slides, some of them without a label
    monkeypatch.setattr(module, "MOST_WINDOWS", everything // 3)
    whole = module._slider
    monkeypatch.setattr(module, "_slider", lambda *of: replace(whole(*of), largest_px=200))
    first, again = calibration_of(place), calibration_of(place)
    assert first == again
    assert 0.1 * everything < first["validation"]["patches"] < 0.6 * everything


def test_where_there_is_none_it_says_why(place: Path, tmp_path: Path) -> None:
    network, spec = load(place / "valid.safetensors", backbone=NAME)
    images = write_folder(tmp_path / "images", per_patient=3)
    by_pattern = {"patches": images, "slides": None, "patient_pattern": "(p[0-9]+)_"}
    for options, said in (
        ({"slides": None, "fractions": (0.4, 0.3, 0.3)}, "the annotation is not at hand"),
        (by_pattern, "image files have no place"),
    ):
        found = dense_calibration(network, spec, data_of(place, **options), CPU)
        assert list(found) == ["refused"]
        assert said in found["refused"]
    every = ModelSpec(NAME, stain={"per_patch": True})
    found = dense_calibration(network, every, data_of(place), CPU)
    assert "takes every patch with its own stains" in found["refused"]


def test_a_slide_that_is_in_two_splits_calibrates_nothing(place: Path) -> None:
    data = data_of(place)
    data.parts[np.flatnonzero(data.all_rows.source == 1)[0]] = "train"
    network, spec = load(place / "valid.safetensors", backbone=NAME)
    found = dense_calibration(network, spec, data, CPU)
    assert found == {"refused": "patches of s1 are in validation and in another split"}
