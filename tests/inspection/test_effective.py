"""The effective receptive field: second moments worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from histocnn.errors import ModelError
from histocnn.inspection.effective import effective_fields


def _ones(count: int, kernel: int = 3) -> nn.Sequential:
    layers = [nn.Conv2d(1, 1, kernel, padding=kernel // 2, bias=False) for _ in range(count)]
    for layer in layers:
        nn.init.ones_(layer.weight)
    return nn.Sequential(*layers)


@pytest.mark.parametrize("count", [1, 4])
def test_a_stack_of_ones_has_the_width_of_summed_uniform_steps(count: int) -> None:
    # each 3 × 3 of ones adds a variance of ((-1)² + 0 + 1²) / 3 = 2 / 3 per axis
    field = effective_fields(_ones(count), torch.rand(2, 1, 33, 33), [str(count - 1)])[0]
    assert field.gradient.sum() == pytest.approx(1, abs=1e-5)
    expected = 4 * math.sqrt(count * 2 / 3)
    assert field.width_px == (pytest.approx(expected, rel=1e-4), pytest.approx(expected, rel=1e-4))
    assert field.width_px[0] < 4 * count + 2  # effective is narrower than theory's ends


def test_axes_are_apart_and_pieces_do_not_matter() -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, (1, 5), padding=(0, 2)), nn.ReLU())
    nn.init.ones_(net[0].weight)
    images = torch.rand(5, 3, 16, 16)
    whole = effective_fields(net, images, ["0"], chunk=5)[0]
    pieces = effective_fields(net, images, ["0"], chunk=2)[0]
    assert whole.width_px == (pytest.approx(4 * math.sqrt(2), rel=1e-5), pytest.approx(0, abs=1e-5))
    assert pieces.gradient == pytest.approx(whole.gradient, abs=1e-7)


def test_a_unit_that_nothing_moves_has_no_width() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())
    nn.init.constant_(net[0].weight, -1)
    nn.init.zeros_(net[0].bias)
    field = effective_fields(net, torch.ones(1, 1, 9, 9), ["1"])[0]
    assert (field.width_px, field.gradient.max()) == (None, 0)


def test_a_layer_without_a_map_is_refused() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(ModelError, match="layer 1 gives no map"):
        effective_fields(net, torch.zeros(1, 1, 2, 2), ["1"])
