"""Patterns: up the gradient, the same from the same seed, of maps, tokens and vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from histocnn.errors import ModelError, UsageError
from histocnn.inspection import excite
from histocnn.inspection.patterns import Ascent

HOW = Ascent(24, steps=8)


def _red_and_edges() -> nn.Sequential:
    """Channel 0 likes red, channel 1 vertical edges, channel 2 is dead in noise."""
    net = nn.Sequential(nn.Conv2d(3, 3, 3, bias=True), nn.ReLU(inplace=True))
    weight = torch.zeros(3, 3, 3, 3)
    weight[0, 0], weight[0, 1:] = 1, -1
    weight[1, :, :, 0], weight[1, :, :, 2] = 1, -1
    weight[2, 1] = 1
    net[0].weight.data, net[0].bias.data = weight, torch.tensor([0.0, 0, -20])
    return net.eval()


def test_each_image_excites_its_own_channel() -> None:
    found = excite(_red_and_edges(), "1", [0, 1, 2], HOW)
    assert found.pixels.shape == (3, 24, 24, 3)
    red = found.pixels[0, 4:-4, 4:-4].mean((0, 1))
    assert red[0] > 200
    assert max(red[1:]) < 60
    across = np.abs(np.diff(found.pixels[1].astype(float), axis=1)).mean()
    down = np.abs(np.diff(found.pixels[1].astype(float), axis=0)).mean()
    assert across > 2 * down
    assert (found.reached > found.begun).all()
    assert found.begun[2] == 0  # no unit answers to the noise, and yet it was found
    assert found.pixels[2].mean((0, 1)).argmax() == 1


def test_the_same_seed_gives_the_same_image_and_pieces_another_order_of_work_only() -> None:
    net = _red_and_edges()
    first, again = (excite(net, "1", [0, 1], HOW).pixels for _ in range(2))
    assert np.array_equal(first, again)
    other = excite(net, "1", [0, 1], Ascent(24, steps=8, seed=1)).pixels
    assert not np.array_equal(first, other)


def test_tokens_and_vectors_have_patterns_too() -> None:
    torch.manual_seed(0)
    net = torchvision.models.VisionTransformer(32, 8, 1, 2, 16, 32).eval()
    how = Ascent(32, steps=16)
    torch.nn.init.normal_(net.heads.head.weight)  # zero as it is made
    for layer in ("encoder.layers.encoder_layer_0.mlp.0", "heads.head"):
        found = excite(net, layer, [0, 3], how)
        assert (found.reached > found.begun).all()


def test_weights_and_gradients_of_the_network_are_left_as_they_were() -> None:
    net = _red_and_edges()
    before = net[0].weight.detach().clone()
    excite(net, "1", [0], HOW)
    assert torch.equal(net[0].weight, before)
    assert net[0].weight.grad is None


def test_a_layer_or_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="no layer '7'"):
        excite(_red_and_edges(), "7", [0], HOW)
    with pytest.raises(ModelError, match="has 3 channels, not 4"):
        excite(_red_and_edges(), "1", [3], HOW)
