"""A network behind its recipe: what predict and embed give, in batches, within memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from histocnn.errors import ModelError, UsageError
from histocnn.inspection import attacks
from histocnn.inspection.on_pixels import OnPixels
from histocnn.models.backbones import build
from histocnn.models.networks import Embedder
from histocnn.models.runner import Runner
from histocnn.models.spec import ModelSpec
from tests.inspection.fooled import grey, on_pixels

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3), dtype=np.uint8)


def lenet() -> OnPixels:
    torch.manual_seed(0)
    spec = ModelSpec("lenet5", class_names=("a", "b"), input_px=28)
    return OnPixels(build("lenet5", 2), spec)


def test_it_answers_as_predict_and_embed_do_whatever_the_batch(pictures):
    network = lenet()
    expected = Runner(network.network, network.spec, CPU, False, lambda x: {"x": x})(pictures)["x"]
    features = Runner(
        Embedder(network.network.backbone), network.spec, CPU, False, lambda x: {"x": x}
    )(pictures)["x"]
    for batch_size in (2, 64):
        response = network.respond(pictures, batch_size)
        np.testing.assert_allclose(response.logits, expected.numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(response.features, features.numpy(), rtol=1e-5, atol=1e-6)
    assert response.called.tolist() == expected.argmax(1).tolist()
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(network(pixels), expected, rtol=1e-5, atol=1e-6)
    assert pixels.max() > 1  # nothing was normalised in place


def test_features_of_other_layers_are_those_of_embed(pictures):
    plain = lenet()
    network = OnPixels(plain.network, plain.spec, ("layers.3",))
    response = network.respond(pictures)
    embedder = Embedder(plain.network.backbone, ("layers.3",))
    expected = Runner(embedder, plain.spec, CPU, False, lambda x: {"x": x})(pictures)["x"]
    assert response.features.shape == (5, 16)
    np.testing.assert_allclose(response.features, expected.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(response.logits, plain.respond(pictures).logits, rtol=1e-5)
    with pytest.raises(UsageError, match="no layer 'nope'"):
        OnPixels(plain.network, plain.spec, ("nope",))


def test_a_gradient_reaches_the_pixels_through_scaling_and_normalisation(pictures):
    network = lenet()
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    gradient, odds = attacks.pixel_gradient(network, pixels, torch.zeros(5, dtype=torch.int64))
    moved = pixels.clone()
    moved[:, 1, 20, 20] += 0.5
    _, after = attacks.pixel_gradient(network, moved, torch.zeros(5, dtype=torch.int64))
    step = gradient[:, 1, 20, 20] * 0.5
    torch.testing.assert_close(after - odds, step, rtol=0.05, atol=1e-4)


def test_attacked_pictures_are_whole_grey_levels_within_the_bound(pictures):
    network, classes = lenet(), np.zeros(5, np.int64)
    seen = []

    def attack(own: nn.Module, pixels: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
        seen.append(len(pixels))
        return attacks.pgd(own, pixels, of, 3, steps=4)

    made = network.altered(pictures, classes, attack, batch_size=2)
    assert seen == [2, 2, 1]
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - pictures).max() <= 3
    assert (made != pictures).any()


def test_memory_that_does_not_suffice_and_nan_are_one_line():
    class Hungry(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("no room")

    network = on_pixels(Hungry(), 3)
    with pytest.raises(ModelError, match=r"a batch of 2 patches .* Lower --batch_size"):
        network.respond(grey(1, 3), batch_size=2)
    with pytest.raises(ModelError, match="Lower --batch_size"):
        network.altered(grey(1, 3), np.zeros(3, np.int64), lambda n, p, c: n(p), 2)

    class Nan(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean((2, 3)) * torch.nan

    with pytest.raises(ModelError, match="NaN or infinite"):
        on_pixels(Nan(), 3).respond(grey(1))
