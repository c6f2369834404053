"""What a model file says is read without torch, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from histocnn.errors import ModelError
from histocnn.models.model_file import says, text_of
from tests.models.small_networks import write_model


def test_a_model_says_which_network_it_is(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.safetensors", mpp=0.5)
    assert says(model)
    assert json.loads(text_of(model))["mpp"] == 0.5


def test_what_is_no_model_is_refused_with_what_it_is(tmp_path: Path) -> None:
    weights, other = tmp_path / "w.safetensors", tmp_path / "text.safetensors"
    save_file({"w": np.zeros(1)}, weights)
    other.write_text("a model")
    for path, said in (
        (tmp_path / "none", "no such model"),
        (weights, "weights without what histocnn writes"),
        (other, "not a whole .safetensors file"),
    ):
        assert not says(path)
        with pytest.raises(ModelError, match=said):
            text_of(path)
