"""Where a trunk ends, found by running the network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from histocnn.errors import ModelError
from histocnn.models.windows import Split, noise, split, trunk
from tests.models.valid_networks import valid_lenet, valid_pooled, valid_residual


@torch.inference_mode()
def test_the_last_map_and_what_follows_it() -> None:
    # 28 → 24 → 12 → 8 → 4 under linear layers; 40 → 19 → 15 → 7 → 5 under mean and maximum
    assert split(valid_lenet(), 28) == Split(5, 4, average=False)
    found = split(valid_residual(), 40)
    assert (found.cells, found.average) == (5, False)
    found = split(valid_pooled(), 64)
    assert (found.cells, found.average) == (7, True)
    network = valid_pooled()
    maps = trunk(network, found, noise(network, (1, 3, 64, 80)))
    assert maps.shape == (1, 12, 7, 9)


@torch.inference_mode()
def test_a_mean_before_layers_that_are_not_linear_is_a_mean_all_the_same() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(4),
        nn.Linear(4, 2),
    ).eval()  # fmt: skip
    found = split(network, 32)
    assert (found.cells, found.average) == (8, True)


class _Tokens(nn.Module):
    """What a transformer does: patches become tokens, one more is the output."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, 4, 8, 8)

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, 4]."""
        tokens: Tensor = self.cut(images).flatten(2).mT
        return (tokens + tokens.mean(1, keepdim=True))[:, 0]


@torch.inference_mode()
def test_tokens_are_no_map() -> None:
    with pytest.raises(ModelError, match=r"no map of the image but tokens.*resnet18\.$"):
        split(_Tokens().eval(), 32)


@torch.inference_mode()
def test_a_network_that_does_not_take_a_region_is_refused_with_its_own_words() -> None:
    network = valid_pooled()
    found = split(network, 64)
    with pytest.raises(ModelError, match="it does not take 2 × 2 px"):
        trunk(network, found, torch.zeros(1, 3, 2, 2))
