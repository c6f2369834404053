"""Which architecture a name stands for, and that its making fails in sentences."""

from __future__ import annotations

import pytest
import torch

from histocnn.errors import UsageError
from histocnn.models.timm_networks import Architecture, make, resolve


def test_timm_s_own_name_keeps_its_arguments_and_says_its_normalisation() -> None:
    found = resolve("timm/vit_small_patch14_dinov2.lvd142m", {"depth": 1})
    assert found.name == "vit_small_patch14_dinov2.lvd142m"
    assert found.arguments == {"depth": 1}
    assert found.preparation.mean == (0.485, 0.456, 0.406)
    assert found.preparation.interpolation == "bicubic"
    assert found.preparation.input_px is None  # patches as they come
    assert found.weights is None  # timm's


def test_layers_by_name_and_any_size() -> None:
    arguments = {"mlp_layer": "SwiGLUPacked", "act_layer": "silu", "depth": 1, "img_size": 518}
    with torch.device("meta"):
        network = make(Architecture("vit_small_patch14_dinov2", arguments))
        assert network(torch.zeros(1, 3, 224, 280)).shape == (1, 384)
    assert type(network.blocks[0].mlp).__name__ == "GluMlp"
    assert isinstance(network.blocks[0].mlp.act, torch.nn.SiLU)


def test_what_a_user_asks_for_is_what_is_made() -> None:
    with torch.device("meta"):
        rigid = make(Architecture("vit_tiny_patch16_224", {"dynamic_img_size": False, "depth": 1}))
        plain = make(Architecture("resnet10t"))
    assert not rigid.dynamic_img_size
    assert plain.num_classes == 0


def test_wrong_arguments_and_names() -> None:
    with pytest.raises(UsageError, match="timm has no network 'vit_of_nobody'"):
        resolve("timm/vit_of_nobody", {})
    with pytest.raises(UsageError, match=r"vit_tiny_patch16_224 does not take \{'depht': 1\}"):
        make(Architecture("vit_tiny_patch16_224", {"depht": 1}))
    with pytest.raises(UsageError, match=r"does not take .*'embed_dim': 50"):
        make(Architecture("vit_tiny_patch16_224", {"embed_dim": 50, "depth": 1}))
