"""`inspect`: its files, its rows, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.errors import ModelError, UsageError
from histocnn.stages.inspect import inspect
from tests.models.patch_files import write_folder
from tests.models.small_networks import write_model, write_weights


def test_a_model_and_patches_give_a_page_and_a_row_per_layer(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.safetensors", mpp=0.5)
    patches = write_folder(tmp_path / "p", patients=2, per_patient=2)
    result = inspect(tmp_path / "out", model=model, patches=patches, mpp=0.5, steps=2)
    assert [path.name for path in result.outputs[:2]] == ["inspect.html", "inspect.json"]
    stored = json.loads((tmp_path / "out" / "inspect.json").read_text(encoding="utf-8"))
    assert stored["patches"] == 8
    assert [row["name"] for row in result.rows][:2] == ["backbone.layers.0", "backbone.layers.1"]
    again = inspect(tmp_path / "out", model=model, steps=1)  # its own files it may replace
    assert len(again.outputs) < len(result.outputs)


def test_a_backbone_and_an_image(tmp_path: Path) -> None:
    weights = str(write_weights(tmp_path / "w.safetensors"))
    cv2.imwrite(str(tmp_path / "i.png"), np.full((40, 30), 90, np.uint8))
    image = str(tmp_path / "i.png")
    result = inspect(
        tmp_path / "out", backbone="lenet5", weights=weights, image=image, layers=("layers.1",),
        steps=1,
    )  # fmt: skip
    stored = json.loads(result.outputs[1].read_text(encoding="utf-8"))
    assert stored["notes"] == ["i.png: of its 30 × 40 px the 30 in the middle"]
    assert [each["layer"] for each in stored["activations"]] == ["layers.1"]


def test_nobodys_file_is_lost_and_no_patch_of_another_scale_is_looked_at(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.safetensors", mpp=0.5)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "inspect.html").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="there already, and not made by inspect"):
        inspect(tmp_path / "out", model=model)
    with pytest.raises(UsageError, match="holds the input"):
        inspect(tmp_path, model=model)
    patches = write_folder(tmp_path / "p", patients=1, per_patient=1)
    with pytest.raises(ModelError, match=r"0\.25 µm/px, and the model was trained on"):
        inspect(tmp_path / "new", model=model, patches=patches, mpp=0.25)
    assert not (tmp_path / "new").exists()
