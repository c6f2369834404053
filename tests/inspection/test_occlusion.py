"""Occlusion against sums done by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from histocnn.errors import ModelError
from histocnn.inspection.occlusion import occluded


class Red(nn.Module):
    """Outputs: the sum of red, and its negative."""

    def forward(self, images: Tensor) -> Tensor:
        total = images[:, 0].sum((1, 2))
        return torch.stack([total, -total], 1)


def test_the_fall_is_what_covering_takes_away() -> None:
    images = torch.zeros(2, 3, 4, 4)
    images[0, 0, :, :2] = 1  # the left half is red: the mean colour is half as red
    fall = occluded(Red(), images, 0, window_px=2, stride_px=2)
    # A square of 4 px loses 4 × (1 - 0.5) at the left, and wins as much at the right.
    assert fall[0].tolist() == [[2, 2, -2, -2]] * 4
    assert not fall[1].any()
    assert torch.equal(occluded(Red(), images, 1, window_px=2, stride_px=2), -fall)


def test_overlapping_squares_are_averaged() -> None:
    images = torch.zeros(1, 3, 2, 8)
    images[0, 0, :, 0] = 8  # mean 1; a square of 2 × 2 at x = 0 loses 2 × 7 - 2 × 1 = 12
    fall = occluded(Red(), images, 0, window_px=2, stride_px=1)
    # x = 0 lies in the first square; x = 1 also in the second, which wins 4 × 1.
    assert fall[0, 0, :3].tolist() == [12, (12 - 4) / 2, -4]


def test_without_sizes_a_square_is_a_quarter_of_the_image() -> None:
    fall = occluded(Red(), torch.rand(1, 3, 16, 24), 0)
    assert fall.shape == (1, 16, 24)


def test_a_network_of_other_images_says_so() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    with pytest.raises(ModelError, match="it does not take 8 × 9 px"):
        occluded(network, torch.rand(1, 3, 9, 8), 0)
