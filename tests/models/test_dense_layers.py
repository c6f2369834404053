"""Features of several layers over a region: the embedder's own over each window."""

from __future__ import annotations

import pytest
import torch
from torch import nn

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
def test_the_coarsest_layer_gives_the_windows() -> None:
    embedder = Embedder(_backbone(), ("0", "4")).eval()
    assert layer_split(embedder, 32) == LayerSplit((16, 2), (8, 1), cells=2)


def test_a_layer_without_a_map_is_refused() -> None:
    with pytest.raises(ModelError, match="its layer 6 gives no map"):
        densified(Embedder(_backbone(), ("6",)).eval(), 32)
