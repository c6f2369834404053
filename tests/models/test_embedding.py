from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from histocnn.errors import UsageError
from histocnn.models.backbones import build
from histocnn.models.embedding import Source
from histocnn.storage.json import to_json
from tests.models.small_networks import write_model, write_weights


def test_equal_weights_are_the_same_features_wherever_they_lie(tmp_path: Path) -> None:
    first, second, other = (
        Source("lenet5", str(write_weights(tmp_path / f"{i}.safetensors", seed=i // 2)), None,
               (), 28, None)
        for i in range(3)
    )  # fmt: skip
    assert first.describe() == second.describe()
    assert first.describe()["weights"] != other.describe()["weights"]
    assert first.describe()["input_px"] == 28


@pytest.mark.parametrize(
    ("backbone", "weights", "message"),
    [(None, None, "needs --backbone NAME or --model FILE"), ("lenet5", None, "random")],
)
def test_half_a_network_is_refused(backbone: str | None, weights: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Source(backbone, weights, None, (), None, None).open()


def test_backbone_and_model_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Give one of the two"):
        Source("resnet18", None, write_model(tmp_path / "m"), (), None, None).open()


def test_a_recipe_names_what_was_asked_for_and_nothing_else(tmp_path: Path) -> None:
    weights = str(write_weights(tmp_path / "w.safetensors"))
    plain = Source("lenet5", weights, None, (), 28, None).describe()
    kept = {"backbone", "arguments", "layers", "input_px", "mean", "std", "stain", "weights"}
    assert plain.keys() == kept  # files of earlier versions stay done
    partial = Source("lenet5", weights, None, (), 28, None, allow_partial=True).describe()
    assert partial == plain | {"allow_partial": True}


def test_pool_and_arguments_are_in_the_recipe(tmp_path: Path) -> None:
    arguments = {"depth": 1, "embed_dim": 24, "num_heads": 3}
    torch.manual_seed(0)
    network = build("timm/vit_tiny_patch16_224", 0, arguments=arguments).backbone
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    how = {"arguments": to_json(arguments), "pool": "cls+mean"}
    source = Source("timm/vit_tiny_patch16_224", str(tmp_path / "w.safetensors"), None, (), 32,
                    None, **how)  # type: ignore[arg-type]  # fmt: skip
    said = source.describe()
    assert (said["pool"], said["arguments"]) == ("cls+mean", arguments)
    assert said["interpolation"] == "bicubic"  # as the weights were published
    assert "interpolation" not in replace(source, input_px=None).describe()
    embedder, spec = source.open()
    assert embedder(torch.zeros(1, 3, 32, 32)).shape == (1, 48)
    assert spec.pool == "cls+mean"


@pytest.mark.parametrize(
    "how", [{"pool": "mean"}, {"arguments": '{"a": 1}'}, {"allow_partial": True}]
)
def test_a_model_says_itself_how_it_is_built(tmp_path: Path, how: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="says itself how it is built"):
        Source(None, None, write_model(tmp_path / "m"), (), None, None, **how).open()


def test_layers_and_pool_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Give one of the two"):
        Source("timm/resnet10t", "w", None, ("layer1",), None, None, pool="gem").open()
