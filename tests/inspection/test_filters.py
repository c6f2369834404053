"""First-layer weights: kernels, or the weights of a network without convolution as pictures."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from histocnn.errors import ModelError
from histocnn.inspection import receptive_fields
from histocnn.inspection.filters import first_filters
from histocnn.models.backbones import build


def test_the_first_convolutions_kernels() -> None:
    network = build("lenet5", 2).eval()
    found = first_filters(network, receptive_fields(network, 28))
    assert (found.layer, found.weights.shape) == ("backbone.layers.0", (6, 1, 5, 5))
    weight = network.backbone.layers[0].weight.detach().numpy()
    assert np.array_equal(found.weights, weight)


def test_a_network_without_convolution_shows_its_weights_as_pictures() -> None:
    network = build("mlp", 2).eval()
    found = first_filters(network, receptive_fields(network, 28))
    assert (found.layer, found.weights.shape) == ("backbone.layers.1", (512, 1, 28, 28))
    colour = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 5))
    assert first_filters(colour, receptive_fields(colour, 4)).weights.shape == (5, 3, 4, 4)


def test_weights_of_no_image_are_refused() -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    with pytest.raises(ModelError, match="takes neither an image nor all its pixels"):
        first_filters(network, receptive_fields(network, 8))
