"""Pooling equals what is written by hand, on transformers and on maps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from histocnn.errors import UsageError
from histocnn.models.backbones import build
from histocnn.models.pooling import Pooled

TOKENS = torch.tensor([[[1.0, 2.0], [30.0, 40.0], [3.0, 5.0], [5.0, -9.0]]])  # class, register, two


class Tokens(nn.Module):
    num_features, num_prefix_tokens, cls_token = 2, 2, "there"

    def forward_features(self, images: Tensor) -> Tensor:
        return TOKENS


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("cls", [1.0, 2.0]),
        ("mean", [4.0, -2.0]),
        ("cls+mean", [1.0, 2.0, 4.0, -2.0]),
        ("gem", [((27 + 125) / 2) ** (1 / 3), ((125 + 1e-18) / 2) ** (1 / 3)]),
    ],
)
def test_by_hand(pool: str, expected: list[float]) -> None:
    pooled = Pooled(Tokens(), pool)  # type: ignore[arg-type]
    assert pooled.width == len(expected)
    torch.testing.assert_close(pooled(torch.zeros(1, 3, 4, 4)), torch.tensor([expected]))


def test_a_network_s_class_and_patch_tokens_without_its_registers() -> None:
    arguments = {"reg_tokens": 4, "init_values": 1e-5, "global_pool": "", "depth": 3}
    network = build("timm/vit_tiny_patch16_224", 0, arguments=arguments, pool="cls+mean").eval()
    images = torch.rand(2, 3, 64, 64)
    trunk = network.backbone.trunk
    with torch.inference_mode():
        tokens = trunk.norm(
            trunk.blocks(trunk.norm_pre(trunk._pos_embed(trunk.patch_embed(images))))
        )
        found = network(images)
    assert tokens.shape == (2, 1 + 4 + 16, 192)
    torch.testing.assert_close(found[:, :192], tokens[:, 0])
    torch.testing.assert_close(found[:, 192:], tokens[:, 5:].mean(1))
    assert network.width == 384


@pytest.mark.parametrize("name", ["timm/resnet10t", "timm/swin_tiny_patch4_window7_224"])
def test_the_mean_of_maps_is_the_network_s_own(name: str) -> None:
    torch.manual_seed(0)
    arguments = {"depths": [1, 1, 1, 1], "img_size": 56} if "swin" in name else {}
    network = build(name, 0, arguments=arguments, pool="mean").eval()
    images = torch.rand(1, 3, 56, 56)
    with torch.inference_mode():
        torch.testing.assert_close(network(images), network.backbone.trunk(images))
    assert network.width == network(images).shape[1]


@pytest.mark.parametrize(
    ("name", "pool", "message"),
    [("resnet18", "mean", "resnet18 gives no tokens"), ("lenet5", "cls", "gives no tokens"),
     ("timm/resnet10t", "cls", "has no class token. Use --pool mean")],
)  # fmt: skip
def test_what_has_nothing_to_pool_is_refused(name: str, pool: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(name, 0, pool=pool)  # type: ignore[arg-type]
