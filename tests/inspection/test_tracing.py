"""One run of a network, call by call."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from histocnn.inspection.tracing import traced


class Block(nn.Module):
    """A residual block whose ReLU is called twice and which pools by a call."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(inplace=True)
        self.spare = nn.Linear(2, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Maps of half the size."""
        maps = self.relu(self.conv(images))
        maps = maps + images
        return F.max_pool2d(self.relu(maps), 2)


def test_layers_come_in_order_with_calls_between_them() -> None:
    steps = traced(nn.Sequential(Block(), nn.Flatten(), nn.Linear(48, 2)), torch.rand(1, 3, 8, 8))
    names = [(step.name, step.kind) for step in steps]
    assert names == [
        ("0.conv", "Conv2d"), ("0.relu", "ReLU"), ("0", "add"), ("0.relu", "ReLU"),
        ("0", "max_pool2d"), ("1", "Flatten"), ("2", "Linear"),
    ]  # fmt: skip
    # 3 · 3 · 9 weights at 64 places; 48 · 2
    assert [step.multiply_adds for step in steps] == [81 * 64, 0, 0, 0, 0, 0, 96]
    assert steps[4].output_shape == (1, 3, 4, 4)


def test_the_network_is_left_as_it_was() -> None:
    network = Block()
    traced(network, torch.rand(1, 3, 8, 8))
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in network.modules())
    assert (network(torch.rand(1, 3, 8, 8))).requires_grad


def test_what_is_written_into_a_tensor_leaves_its_field_unknown() -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, images: Tensor) -> Tensor:
            copy = images.clone()
            copy[:, 0] = images[:, 1]
            return self.relu(copy)

    assert traced(Writes(), torch.rand(1, 3, 4, 4))[-1].field is None
