"""Features of several layers over a region: the embedder's own over each window."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import DenseNet

from histocnn.errors import ModelError
from histocnn.models.dense import densified
from histocnn.models.dense_layers import LayerSplit, layer_split
from histocnn.models.networks import Embedder


def _backbone() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 2, 2), nn.ReLU(inplace=True), nn.Conv2d(4, 6, 2, 2), nn.ReLU(inplace=True),
        nn.Conv2d(6, 8, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    ).eval()  # fmt: skip


@pytest.mark.parametrize("layers", [("0",), ("0", "2"), ("2", "4", "0"), ()])
def test_each_window_has_the_embedders_features(layers: tuple[str, ...]) -> None:
    embedder = Embedder(_backbone(), layers).eval()
    dense = densified(embedder, 32)
    stride = {("0",): 2, ("0", "2"): 4}.get(layers, 16)
    assert (dense.stride_px, dense.halo_px, dense.window_px) == (stride, 0, 32)
    image = torch.randn((1, 3, 80, 64), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        windows = dense.network(image)
        assert windows.shape[2:] == (48 // stride + 1, 32 // stride + 1)
        for row, column in ((0, 0), (48 // stride, 32 // stride), (1, 2)):
            y, x = row * stride, column * stride
            own = embedder(image[..., y : y + 32, x : x + 32])
            torch.testing.assert_close(windows[..., row, column], own, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_a_densenets_blocks_are_averaged_as_they_are_concatenated() -> None:
    torch.manual_seed(0)
    network = DenseNet(4, (2, 1), 8, num_classes=2).eval()
    network.classifier = nn.Identity()  # type: ignore[assignment]
    layers = ("features.denseblock2", "features.norm0", "features.denseblock1")
    dense = densified(Embedder(network, layers).eval(), 64)
    assert (dense.stride_px, dense.window_px) == (8, 64)
    image = torch.randn((1, 3, 96, 80), generator=torch.Generator().manual_seed(2))
    norm, block, last = (network.features[:end](image) for end in (2, 5, 7))
    assert norm.min() < 0  # the ReLU behind it would take that away, in place
    assert (block.shape[1], last.shape[1]) == (8 + 2 * 4, (8 + 2 * 4) // 2 + 4)
    means = [
        nn.functional.avg_pool2d(m, 64 // d, 8 // d) for m, d in ((last, 8), (norm, 2), (block, 4))
    ]
    torch.testing.assert_close(dense.network(image), torch.cat(means, 1), rtol=1e-5, atol=1e-6)


@torch.inference_mode()
def test_the_coarsest_layer_gives_the_windows() -> None:
    embedder = Embedder(_backbone(), ("0", "4")).eval()
    assert layer_split(embedder, 32) == LayerSplit((16, 2), (8, 1), cells=2)


def test_a_layer_without_a_map_is_refused() -> None:
    with pytest.raises(ModelError, match="its layer 6 gives no map"):
        densified(Embedder(_backbone(), ("6",)).eval(), 32)
