"""histocnn embed: the same features however they are computed, and clear refusals."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from histocnn.cli import main
from histocnn.errors import ModelError, UsageError
from histocnn.jobs import run
from histocnn.jobs.workers import over
from histocnn.stages.embed import embed
from histocnn.storage import store
from tests.grid_files import write_grid
from tests.models.patch_files import write_folder
from tests.models.small_networks import write_model, write_weights


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slides with grids, a folder of images, and weights of a LeNet-5."""
    folder = tmp_path_factory.mktemp("embed")
    write_grid(folder, "s1", patient_id="p1")
    write_grid(folder, "s2", size=(500, 300), patient_id="p2")
    write_folder(folder / "images", patients=2)
    write_weights(folder / "lenet5.safetensors")
    return folder


def features(file: Path) -> np.ndarray:
    return np.asarray(store.read(file, "features")["features"])


def embed_grids(place: Path, out: Path, **how: object) -> int:
    options = {"backbone": "lenet5", "weights": str(place / "lenet5.safetensors"), **how}
    return embed(place / "grids", out, **options).exit_code  # type: ignore[arg-type]


def test_features_of_slides_carry_what_the_grid_knew(place: Path, tmp_path: Path) -> None:
    assert embed_grids(place, tmp_path) == 0
    stored, grid = store.read(tmp_path / "s1.h5"), store.read(place / "grids" / "s1.h5")
    assert stored["features"].dtype == np.float16
    assert stored["features"].shape == (len(grid["coords"]), 84)
    assert stored["colour"].shape == (len(grid["coords"]), 6)
    for name in ("coords", "cell", "labels"):
        np.testing.assert_array_equal(stored[name], grid[name])
    attributes = store.attributes(tmp_path / "s1.h5")
    assert attributes["labels.class_names"] == ["a", "b"]
    assert attributes["patient_id"] == "p1"
    assert attributes["recipe"]["source"]["recipe"]["stage"] == "tile"
    assert json.loads((tmp_path / "run.json").read_text())["verdict"].startswith("pixels")


def sent(items: list[Any], task: Any, workers: int, report: Any, begin: Any) -> None:
    """What two processes would be sent, done in this one, which has torch already."""
    assert workers == 2
    there = pickle.dumps((list(items), task, begin))
    items, task, begin = pickle.loads(there)  # noqa: S301 - our own
    over(items, task, 1, report, begin)


@pytest.mark.parametrize("spawned", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_equal_across_threads_workers_and_batch_size(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spawned: bool
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    how = {"dtype": "float32", "precision": "fp32"}
    assert embed_grids(place, one, threads=1, batch_size=64, **how) == 0
    if not spawned:
        monkeypatch.setattr(run, "over", sent)
    assert embed_grids(place, other, threads=3, batch_size=5, workers=2, **how) == 0
    for name in ("s1.h5", "s2.h5"):
        np.testing.assert_allclose(features(one / name), features(other / name), atol=1e-5)


def test_what_is_done_is_not_done_again_and_what_differs_is(
    place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    embed_grids(place, tmp_path)
    before = (tmp_path / "s1.h5").stat().st_mtime_ns
    assert embed_grids(place, tmp_path, threads=1, batch_size=3) == 0
    assert (tmp_path / "s1.h5").stat().st_mtime_ns == before
    capfd.readouterr()
    assert embed_grids(place, tmp_path, dtype="float32") == 0
    assert (tmp_path / "s1.h5").stat().st_mtime_ns != before
    assert "dtype" in capfd.readouterr().err


def test_images_and_layers(place: Path, tmp_path: Path) -> None:
    options = {"backbone": "lenet5", "weights": str(place / "lenet5.safetensors")}
    both = ("layers.2", "layers.5")
    assert embed(place / "images", tmp_path, layers=both, **options).exit_code == 0
    assert features(tmp_path / "images.h5").shape == (24, 6 + 16)
    stored = store.read(tmp_path / "images.h5")
    assert stored["paths"][0] == "a/p00_0.png"
    assert stored["labels"].tolist() == [0] * 12 + [1] * 12
    with pytest.raises(UsageError, match=r"no layer 'layers\.99'"):
        embed(place / "images", tmp_path, layers=("layers.99",), **options)


def test_tta_is_the_mean_over_flips_and_turns(place: Path, tmp_path: Path) -> None:
    weights = str(place / "lenet5.safetensors")
    how = {"backbone": "lenet5", "weights": weights, "dtype": "float32", "precision": "fp32"}
    [image] = sorted((place / "images").rglob("*.png"))[:1]
    pixels = np.asarray(Image.open(image).convert("RGB"))
    for turns in range(4):
        for flip in (1, -1):
            view = np.rot90(pixels, turns)[:, ::flip]
            path = tmp_path / "views" / "a" / f"{turns}{flip}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(view).save(path)
    for tta in (False, True):
        assert embed(tmp_path / "views", tmp_path / str(tta), tta=tta, **how).exit_code == 0  # type: ignore[arg-type]
    one, averaged = (features(tmp_path / str(tta) / "views.h5") for tta in (False, True))
    assert np.ptp(one, axis=0).max() > 0.01
    np.testing.assert_allclose(averaged, np.broadcast_to(one.mean(0), one.shape), atol=1e-5)
    recipes = [store.attributes(tmp_path / t / "views.h5")["recipe"] for t in ("False", "True")]
    assert "tta" not in recipes[0]["network"]
    assert recipes[1]["network"]["tta"] is True


def test_a_trained_model_embeds_too(place: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.safetensors")
    assert embed(place / "images", tmp_path / "f", model=model).exit_code == 0
    assert features(tmp_path / "f" / "images.h5").shape == (24, 84)


def test_weights_that_were_replaced_are_read_anew(place: Path, tmp_path: Path) -> None:
    found = []
    for seed in (0, 1):
        weights = write_weights(tmp_path / "lenet5.safetensors", seed=seed)
        done = embed(place / "grids", tmp_path / "out", "lenet5", str(weights), input_px=28)
        assert done.exit_code == 0
        found.append(store.read(tmp_path / "out" / "s1.h5", "features")["features"])
    assert not np.allclose(found[0], found[1], atol=1e-2)


def test_undecodable_tiles_cost_their_patches_not_the_slide(tmp_path: Path) -> None:
    write_grid(tmp_path, damaged=True)
    weights = str(write_weights(tmp_path / "w.safetensors"))
    grids = tmp_path / "grids"
    assert embed(grids, tmp_path / "f", backbone="lenet5", weights=weights).exit_code == 0
    lost = np.isnan(features(tmp_path / "f" / "s1.h5")).all(1)
    x, y = store.read(grids / "s1.h5", "coords")["coords"].T
    np.testing.assert_array_equal(lost, (x < 512) & (y < 512))  # level 1's first tile
    facts = json.loads((tmp_path / "f" / "run.json").read_text())["slides"]["s1"]
    assert facts["notes"] == [f"{lost.sum()} of {len(lost)} patches unreadable, NaN"]


def test_an_empty_grid_gives_an_empty_file(place: Path, tmp_path: Path) -> None:
    stored = store.attributes(place / "grids" / "s1.h5")
    empty = {"coords": np.empty((0, 2), np.int64), "labels": np.empty(0, np.int64)}
    store.write(tmp_path / "g" / "s1.h5", empty, stored)
    weights = str(place / "lenet5.safetensors")
    assert embed(tmp_path / "g", tmp_path / "f", backbone="lenet5", weights=weights).exit_code == 0
    assert features(tmp_path / "f" / "s1.h5").shape == (0, 84)
    facts = json.loads((tmp_path / "f" / "run.json").read_text())["slides"]["s1"]
    assert facts["outcome"] == "empty"


@pytest.mark.slow  # predict is killed so by default, every stage in tests/chaos
def test_resumes_after_sigkill(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "f"
    command = [
        sys.executable, "-m", "histocnn.cli", "embed", "--patches", str(place / "grids"),
        "--backbone", "lenet5", "--weights", str(place / "lenet5.safetensors"),
        "--out", str(out), "--batch_size", "1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(out.glob("*.h5")) and time.monotonic() < deadline:
        time.sleep(0.001)  # the second slide is under way once the first is there
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (out / "s1.h5").exists()
    for file in out.glob("*.h5"):
        assert store.attributes(file)["slide_id"] == file.stem  # whole
    before = (out / "s1.h5").stat().st_mtime_ns
    assert embed_grids(place, out, batch_size=1) == 0
    assert (out / "s1.h5").stat().st_mtime_ns == before
    assert {f.name for f in out.iterdir() if f.name.startswith(".")} <= {".runs"}  # no leftovers
    assert embed_grids(place, tmp_path / "whole", batch_size=1) == 0
    for name in ("s1.h5", "s2.h5"):
        np.testing.assert_array_equal(features(out / name), features(tmp_path / "whole" / name))


def test_clam_and_trident_loaders_open_our_features(place: Path, tmp_path: Path) -> None:
    embed_grids(place, tmp_path)
    with h5py.File(tmp_path / "s1.h5", "r") as file:
        bag = torch.from_numpy(file["features"][:])  # CLAM's Generic_MIL_Dataset
        coords = file["coords"][:]
        assert bag.ndim == 2
        assert len(bag) == len(coords)
        attributes = dict(file["coords"].attrs)  # TRIDENT's read_coords
    assert attributes["patch_size"] == 28
    assert attributes["patch_size_level0"] == 56
    assert attributes["target_magnification"] == 10
    assert (attributes["level0_width"], attributes["level0_height"]) == (600, 400)
    assert attributes["overlap"] == 0
    assert attributes["name"] == "s1"


def test_weights_that_do_not_fit_are_counted_and_named(place: Path, tmp_path: Path) -> None:
    wrong = str(write_weights(tmp_path / "mlp.safetensors", "mlp"))
    with pytest.raises(ModelError, match=r"only 0 of the backbone's 8 tensors.*layers\.1"):
        embed(place / "images", tmp_path, backbone="lenet5", weights=wrong)


class _Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harmed",)


def test_a_pickle_with_code_is_refused(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pth").write_bytes(pickle.dumps({"layers.0.weight": _Harmful()}))
    torch.save({"layers.0.weight": _Harmful()}, tmp_path / "zip.pth")
    for name in ("w.pth", "zip.pth"):
        with pytest.raises(ModelError, match="nothing is unpickled"):
            embed(place / "images", tmp_path, backbone="lenet5", weights=str(tmp_path / name))
    assert not (tmp_path / "harmed").exists()


def test_without_a_network_weights_are_asked_for_as_a_file(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(ModelError, match=r"not cached.*--weights FILE"):
        embed(place / "images", tmp_path, backbone="squeezenet1_1", weights="imagenet")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "embed needs --backbone NAME or --model FILE"),
        (["--backbone", "lenet5", "--model", "m"], "embed needs --backbone NAME or --model FILE"),
        (["--backbone", "lenet5"], "lenet5 without weights is random"),
        (["--backbone", "resnet1", "--weights", "w"], "no network is called 'resnet1'"),
    ],
)
def test_wrong_usage_exits_with_2(
    place: Path, tmp_path: Path, options: list[str], message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    words = ["embed", "--patches", str(place / "images"), "--out", str(tmp_path), *options]
    assert main(words) == 2
    assert message in capfd.readouterr().err
