from __future__ import annotations

import pytest
import torch
from torch import nn

from histocnn.errors import ModelError, UsageError
from histocnn.models.backbones import build
from histocnn.models.networks import Embedder


def test_lenet5_as_taught():
    assert sum(p.numel() for p in build("lenet5", 10).parameters()) == 61_706
    assert sum(p.numel() for p in build("mlp", 10).parameters()) == 784 * 512 + 512 + 5_130


@pytest.mark.parametrize("name", ["lenet5", "mlp"])
def test_networks_for_28_px_say_so(name):
    with pytest.raises(ModelError, match=r"28 × 28 px and got 50 × 40.*input_px"):
        build(name, 2)(torch.zeros(1, 3, 40, 50))


def test_layers_are_averaged_over_space_and_joined():
    backbone = build("squeezenet1_1", 0).backbone.eval()
    images = torch.rand(2, 3, 64, 64)
    features = Embedder(backbone, ["features.7", "features.12"])(images)
    first = backbone.features[:8](images).mean((2, 3))
    second = backbone.features[:13](images).mean((2, 3))
    assert torch.equal(features, torch.cat([first, second], dim=1))
    with pytest.raises(UsageError, match=r"no layer 'features.99'.*features"):
        Embedder(backbone, ["features.99"])


def test_dropout_stands_before_the_head():
    head = build("lenet5", 2, dropout=0.3).head
    assert isinstance(head, nn.Sequential)
    assert isinstance(head[0], nn.Dropout)
    assert head[0].p == 0.3
