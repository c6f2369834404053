"""Activations: bit for bit a plain forward hook's, in pieces, of maps, tokens and vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from histocnn.errors import ModelError, UsageError
from histocnn.inspection import activations
from histocnn.inspection.watching import dead_channels, fitting, outputs


def test_every_layers_output_is_a_plain_hooks_bit_for_bit() -> None:
    torch.manual_seed(0)
    network = torchvision.models.resnet18().eval()
    images = torch.randn(3, 3, 64, 64)
    names = [name for name, _ in network.named_modules() if name]
    kept: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            kept.setdefault(name, output.detach().clone())

        return hook

    for name, module in network.named_modules():
        module.register_forward_hook(keep(name))
    with torch.no_grad():
        network(images)
    found = activations(network, images, names)
    assert set(found) == set(names)
    for name in names:
        assert np.array_equal(found[name], kept[name].numpy()), name


def test_images_go_through_in_pieces_so_that_memory_is_bounded() -> None:
    sizes: list[int] = []
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    network[0].register_forward_hook(lambda m, i, o: sizes.append(len(o)))
    found = activations(network, torch.randn(7, 3, 8, 8), ["1"], chunk=3)
    assert (sizes, found["1"].shape) == ([3, 3, 1], (7, 4, 6, 6))


def test_nothing_behind_the_last_asked_layer_is_computed() -> None:
    calls: list[int] = []
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
    network[2].register_forward_hook(lambda m, i, o: calls.append(1))
    outputs(network, torch.zeros(1, 3, 8, 8), ["0", "1"])
    assert calls == []


def test_tokens_of_a_transformer_are_shown() -> None:
    network = torchvision.models.VisionTransformer(32, 8, 1, 2, 16, 32).eval()
    layer = "encoder.layers.encoder_layer_0.self_attention"  # gives a tuple
    assert activations(network, torch.zeros(2, 3, 32, 32), [layer])[layer].shape == (2, 17, 16)


def test_an_unknown_layer_is_refused_with_the_nearest_names() -> None:
    network = torchvision.models.resnet18()
    with pytest.raises(UsageError, match=r"no layer 'layer4.1.conv3'.*layer4\.1\.conv2"):
        activations(network, torch.zeros(1, 3, 32, 32), ["layer4.1.conv3"])


def test_a_layer_that_is_never_called_is_said() -> None:
    network = torchvision.models.googlenet(init_weights=False, aux_logits=True).eval()
    with pytest.raises(ModelError, match=r"aux1\.fc1 is not called"):
        activations(network, torch.zeros(1, 3, 64, 64), ["aux1.fc1"])


def test_memory_that_is_too_small_is_one_line_with_a_remedy() -> None:
    said = r"4 images of 32 px do not fit.*--device cpu"
    with pytest.raises(ModelError, match=said), fitting(torch.zeros(4, 3, 32, 32)):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_channel_that_gives_one_value_everywhere_is_dead() -> None:
    maps = np.zeros((2, 3, 4, 4), np.float32)
    maps[1, 2, 0, 0] = 1
    assert dead_channels(maps).tolist() == [True, True, False]
    tokens = np.zeros((1, 5, 2), np.float32)
    tokens[0, 1, 0] = 1
    assert dead_channels(tokens).tolist() == [False, True]
    assert dead_channels(np.array([[1, 2], [1, 3]], np.float32)).tolist() == [True, False]
