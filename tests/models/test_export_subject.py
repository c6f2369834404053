from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from histocnn.errors import HistocnnError, ModelError, UsageError
from histocnn.models.export_formats import Target
from histocnn.models.export_subject import DENSE, open_subject, recipe_of
from histocnn.slides.stain import Normaliser
from tests.models.small_networks import write_model


@pytest.mark.parametrize(
    ("to", "spec", "message"),
    [
        ("torchscript", {"class_names": ()}, "has no classes to score"),
        ("torchscript", {"patch_px": None}, "does not know the side.*Give --patch_px"),
        ("wsinfer", {}, "does not know the µm/px.*Give --mpp"),
        ("wsinfer", {"mpp": 1.0, "stain": Normaliser().to_dict()}, "does not normalise stains"),
        ("wsinfer", {"mpp": 1.0, "class_names": ("a",)}, "has one class"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(
    tmp_path: Path, to: Target, spec: dict[str, Any], message: str
) -> None:
    model = write_model(tmp_path / "m.safetensors", **spec)
    with pytest.raises(HistocnnError, match=message):
        open_subject(model, to, None, None, None)


def test_a_scale_that_the_model_does_not_know_is_given_and_another_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.safetensors", patch_px=None)
    subject = open_subject(model, "wsinfer", None, 28, 0.5)
    assert (subject.spec.patch_px, subject.spec.mpp) == (28, 0.5)
    model = write_model(tmp_path / "m.safetensors", mpp=0.5)
    with pytest.raises(UsageError, match=r"trained with mpp 0\.5, not 1\.0.*Leave --mpp out"):
        open_subject(model, "wsinfer", None, None, 1.0)


def test_without_the_engine_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_model(tmp_path / "m.safetensors")
    for package in ("onnxscript", "onnxruntime"):
        with monkeypatch.context() as without:
            without.setitem(sys.modules, package, None)
            with pytest.raises(UsageError, match=r"pip install 'histocnn\[onnx\]'"):
                open_subject(model, "onnx", None, None, None)


def test_a_model_of_a_future_version_is_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.safetensors")
    with safe_open(model, "pt") as stored:
        said = stored.metadata()["histocnn_recipe"]
    later = said.replace('"format": 1', '"format": 2').replace('"version": "0', '"version": "9')
    save_file(load_file(model), model, {"format": "pt", "histocnn_recipe": later})
    with pytest.raises(ModelError, match=r"written by histocnn 9.*Use that version"):
        open_subject(model, "torchscript", None, None, None)


def test_the_recipe_says_what_is_left_outside_and_by_whose_leave(tmp_path: Path) -> None:
    terms = {"encoder": "uni", "licence": "CC-BY-NC-ND-4.0", "forbids": ["commercial use"]}
    model = write_model(
        tmp_path / "m.safetensors", mpp=1.0, stain=Normaliser().to_dict(), encoder=terms,
        dense={"temperature": 2.0}, thresholds={"youden": {"b": 0.4}},
        seen={"train": {"slides": ["s"]}},
    )  # fmt: skip
    recipe = recipe_of(open_subject(model, "torchscript", None, None, None), "torchscript")
    assert "Macenko, each slide by its own" in recipe["outside"][0]
    assert recipe["outside"][1] == DENSE
    assert recipe["encoder"] == terms
    assert "forbids commercial use" in recipe["terms"]
    assert recipe["thresholds"] == {"youden": {"b": 0.4}}
    assert recipe["input"]["shape"] == ["batch", 28, 28, 3]
    assert "seen" not in recipe  # whose slides they were stays in the model
    assert str(tmp_path) not in str(recipe)
