"""What is shown where nobody said what."""

from __future__ import annotations

import torchvision
from torch import nn

from histocnn.inspection import receptive_fields
from histocnn.inspection.choosing import candidates, channels_of, chosen, evenly
from histocnn.models.networks import MLP


def test_rectified_maps_from_the_first_to_the_last() -> None:
    table = receptive_fields(torchvision.models.resnet18().eval(), 64)
    names = chosen(table)
    assert names[0] == "relu"
    assert names[-1] == "layer4.1.relu"
    assert len(names) == 4
    assert channels_of(table[names[-1]]) == 512


def test_tokens_of_a_transformer_and_vectors_of_an_mlp() -> None:
    vit = torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32).eval()
    layers = candidates(receptive_fields(vit, 32))
    assert all(len(layer.output_shape) == 2 for layer in layers)
    assert channels_of(layers[-1]) == 16
    mlp = receptive_fields(nn.Sequential(MLP(), nn.Linear(512, 2)), 28)
    assert chosen(mlp)[-1] == "1"


def test_maps_without_a_rectifier() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 4, 3))
    assert chosen(receptive_fields(net, 9)) == ["0", "1", "2"]


def test_evenly() -> None:
    assert evenly(10, 4) == [0, 3, 6, 9]
    assert evenly(3, 9) == [0, 1, 2]
