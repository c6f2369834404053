"""Files of transformers and of DINOv2 give the same features under timm's names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from histocnn.errors import ModelError
from histocnn.models.backbones import build
from histocnn.models.published_names import to_timm
from histocnn.models.weights import load_weights

DINOV2 = "timm/vit_small_patch14_dinov2"
SWIGLU = {"mlp_layer": "SwiGLUPacked", "act_layer": "silu", "mlp_ratio": 5.33334}
SMALL = {"depth": 2, "embed_dim": 48, "num_heads": 3, "img_size": 56}


def made(name: str = DINOV2, **arguments: object) -> torch.nn.Module:
    torch.manual_seed(0)
    network = build(name, 0, arguments=SMALL | arguments).backbone
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


def as_transformers(
    tensors: dict[str, Tensor], *, swiglu: bool, vit: bool = False
) -> dict[str, Tensor]:
    """What transformers' Dinov2Model, or its ViTModel, calls timm's tensors."""
    found = {"embeddings.mask_token": torch.zeros(1, 48)}
    names = {"cls_token": "embeddings.cls_token", "pos_embed": "embeddings.position_embeddings",
             "reg_token": "embeddings.register_tokens"}  # fmt: skip
    for name, tensor in tensors.items():
        name = names.get(name, name)
        name = name.replace("patch_embed.proj.", "embeddings.patch_embeddings.projection.")
        name = re.sub(r"^norm\.", "layernorm.", name)
        name = re.sub(r"^blocks\.", "encoder.layer.", name)
        name = name.replace("attn.proj.", "attention.output.dense.")
        name = re.sub(r"ls(\d)\.gamma", r"layer_scale\1.lambda1", name)
        if swiglu:
            name = name.replace("mlp.fc1", "mlp.weights_in").replace("mlp.fc2", "mlp.weights_out")
        if vit:
            name = name.replace("norm1", "layernorm_before").replace("norm2", "layernorm_after")
            name = name.replace("mlp.fc1", "intermediate.dense").replace("mlp.fc2", "output.dense")
        if "attn.qkv" in name:
            for part, one in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                found[name.replace("attn.qkv", f"attention.attention.{part}")] = one.clone()
        else:
            found[name] = tensor
    return found


@pytest.mark.parametrize("swiglu", [False, True])
@pytest.mark.parametrize("prefix", ["", "dinov2.", "module."])
def test_transformers_dinov2_gives_the_same_features(
    tmp_path: Path, swiglu: bool, prefix: str
) -> None:
    arguments = SWIGLU if swiglu else {}
    source = made(**arguments)
    stored = as_transformers(source.state_dict(), swiglu=swiglu)
    torch.save({prefix + k: v for k, v in stored.items()}, tmp_path / "w.pth")
    loaded = build(DINOV2, 0, tmp_path / "w.pth", arguments=SMALL | arguments).backbone.eval()
    images = torch.rand(2, 3, 56, 56)
    torch.testing.assert_close(loaded(images), source(images))


def test_transformers_vit_with_a_pooler_is_phikon_s(tmp_path: Path) -> None:
    source = made("timm/vit_tiny_patch16_224")
    stored = as_transformers(source.state_dict(), swiglu=False, vit=True)
    stored |= {"pooler.dense.weight": torch.zeros(48, 48), "pooler.dense.bias": torch.zeros(48)}
    torch.save(stored, tmp_path / "w.pth")
    network = build("timm/vit_tiny_patch16_224", 0, arguments=SMALL)
    load_weights(network.backbone, tmp_path / "w.pth")
    images = torch.rand(1, 3, 48, 48)
    torch.testing.assert_close(network.eval()(images), source(images))


def test_a_name_of_transformers_that_is_unknown_is_named() -> None:
    stored = as_transformers(made().state_dict(), swiglu=False)
    stored["encoder.layer.0.attention.rotary.phase"] = torch.zeros(1)
    with pytest.raises(
        ModelError, match=r"1 of its 43 tensors.*encoder\.layer\.0\.attention\.rotary"
    ):
        to_timm(stored, made().state_dict(), Path("w.pth"))
    del stored["encoder.layer.0.attention.rotary.phase"]
    del stored["encoder.layer.1.attention.attention.key.bias"]
    with pytest.raises(ModelError, match=r"blocks\.1\.attn\.qkv\.bias"):
        to_timm(stored, made().state_dict(), Path("w.pth"))


def test_dinov2_s_own_file_with_registers_chunks_and_swiglu(tmp_path: Path) -> None:
    name = "timm/vit_small_patch14_reg4_dinov2"
    source = made(name, **SWIGLU)
    ours = source.state_dict()
    theirs = {"mask_token": torch.zeros(1, 48)}
    for key, tensor in ours.items():
        new = re.sub(r"^blocks\.(\d+)", r"blocks.0.\1", key)
        new = new.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3")
        theirs[new.replace("reg_token", "register_tokens")] = tensor
    own = torch.full((1, 1, 48), 0.25)  # the class token's own position, which timm adds to it
    theirs["pos_embed"] = torch.cat([own, ours["pos_embed"]], dim=1)
    theirs["cls_token"] = ours["cls_token"] - own
    torch.save({"teacher": {"backbone." + k: v for k, v in theirs.items()}}, tmp_path / "w.pth")
    loaded = build(name, 0, tmp_path / "w.pth", arguments=SMALL | SWIGLU).backbone.eval()
    images = torch.rand(1, 3, 56, 56)
    torch.testing.assert_close(loaded(images), source(images))
