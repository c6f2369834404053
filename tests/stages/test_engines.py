"""predict and embed --engine: another program computes, and the files are the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histocnn.cli import main
from histocnn.errors import UsageError
from histocnn.stages.embed import embed
from histocnn.stages.predict import predict
from histocnn.storage import store
from tests.grid_files import write_grid
from tests.models.small_networks import write_model, write_weights

LAYERS = ("layers.3", "layers.8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    write_grid(folder, "s1", patient_id="p1")
    write_grid(folder, "s2", damaged=True)
    write_model(folder / "model.safetensors", mpp=1.0, temperature=0.05)
    write_weights(folder / "weights.safetensors")
    return folder


def check_same(one: Path, two: Path, array: str, atol: float) -> None:
    """Equal files but for what computed them, and rounding in one array."""
    stored, other = store.read(one), store.read(two)
    assert stored.keys() == other.keys()
    for name in stored:
        if name == array:
            assert np.isnan(stored[name]).any() == np.isnan(other[name]).any()
            np.testing.assert_allclose(stored[name], other[name], atol=atol)
        else:
            np.testing.assert_array_equal(stored[name], other[name])
    facts, others = store.attributes(one), store.attributes(two)
    assert facts.pop("engine") != others.pop("engine")
    assert facts == others


def test_predict_writes_the_same_files_by_every_engine(place: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = place / "model.safetensors"
    for engine in ("torch", "onnx"):
        how: dict[str, Any] = {"engine": engine, "precision": "fp32", "batch_size": 7}
        assert predict(place / "grids", model, tmp_path / engine, **how).exit_code == 0
    for slide in ("s1", "s2"):  # batches of 7, an odd one at the end, patches that are lost
        check_same(*(tmp_path / e / f"{slide}.h5" for e in ("torch", "onnx")), "scores", 1e-4)
    scores = store.read(tmp_path / "onnx" / "s1.h5")["scores"]
    assert np.ptp(scores[:, 0]) > 0.05
    run = json.loads((tmp_path / "onnx" / "run.json").read_text())
    assert run["slides"]["s1"]["engine"].startswith("onnxruntime 1.")
    assert "onnxruntime" in run["versions"]
    # Another engine decides nothing: what is there is done.
    again = predict(place / "grids", model, tmp_path / "torch", engine="onnx", precision="fp32")
    assert [row["status"] for row in again.rows] == ["skipped", "skipped"]


def test_embed_gives_the_layers_asked_for_by_every_engine(place: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    weights = str(place / "weights.safetensors")
    for engine in ("torch", "onnx"):
        how: dict[str, Any] = {"engine": engine, "precision": "fp32", "dtype": "float32"}
        how |= {"layers": LAYERS, "batch_size": 5, "tta": True}
        done = embed(place / "grids", tmp_path / engine, "lenet5", weights, **how)
        assert done.exit_code == 0
    check_same(*(tmp_path / e / "s1.h5" for e in ("torch", "onnx")), "features", 1e-4)


def test_auto_takes_one_and_says_which(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # only torch is left to be tried
    out = tmp_path / "out"
    words = ["predict", "--patches", str(place / "grids"), "--out", str(out), "--engine", "auto"]
    assert main([*words, "--model", str(place / "model.safetensors")]) == 0
    assert "engine torch (torch " in capsys.readouterr().err
    assert (tmp_path / "cache" / "histocnn" / "engines.json").exists()
    assert store.attributes(out / "s1.h5")["engine"].startswith("torch ")
    weights = str(place / "weights.safetensors")
    assert embed(place / "grids", tmp_path / "f", "lenet5", weights, engine="auto").exit_code == 0


def test_what_cannot_be_had_is_wrong_usage(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = place / "model.safetensors"
    how: dict[str, Any] = {"engine": "onnx", "dense": True}
    with pytest.raises(UsageError, match="--dense with --engine onnx"):
        predict(place / "grids", model, tmp_path / "out", **how)
    with pytest.raises(UsageError, match="computes in float32"):
        predict(place / "grids", model, tmp_path / "out", engine="onnx", precision="bf16")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    words = ["predict", "--patches", str(place / "grids"), "--out", str(tmp_path / "out")]
    assert main([*words, "--model", str(model), "--engine", "onnx"]) == 2
    assert "Install it: pip install 'histocnn[onnx]'." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)  # the compiler, on a machine with others
# Its pickler looks for names in all modules that were imported, deprecated ones too.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_predict_compiled_writes_the_same_files(place: Path, tmp_path: Path) -> None:
    model = place / "model.safetensors"
    for engine in ("torch", "compile"):
        how: dict[str, Any] = {"engine": engine, "precision": "fp32", "batch_size": 7}
        assert predict(place / "grids", model, tmp_path / engine, **how).exit_code == 0
    for slide in ("s1", "s2"):
        check_same(*(tmp_path / e / f"{slide}.h5" for e in ("torch", "compile")), "scores", 1e-4)
