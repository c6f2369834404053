"""Small networks without padding, each with other means of ending, weights from a seed."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def valid_lenet() -> nn.Module:
    """Two convolutions and three linear layers over 28 px, stride 4."""
    return _seeded(
        nn.Sequential(
            nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(256, 20), nn.ReLU(), nn.Linear(20, 3),
        )
    )  # fmt: skip


def valid_pooled() -> nn.Module:
    """Convolutions, the mean over what is left of the patch, a linear layer; stride 8."""
    return _seeded(
        nn.Sequential(
            nn.Conv2d(3, 8, 4, 2), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
            nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 12, 2, 2), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 3),
        )
    )  # fmt: skip


def valid_vgg() -> nn.Module:
    """Pairs of convolutions, adaptive pooling that leaves a patch of 52 px as it is; stride 4."""
    return _seeded(
        nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3), nn.ReLU(inplace=True),
            nn.MaxPool2d(2), nn.Conv2d(8, 12, 3), nn.ReLU(), nn.Conv2d(12, 12, 3), nn.ReLU(),
            nn.MaxPool2d(2), nn.Conv2d(12, 12, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(7),
            nn.Flatten(), nn.Linear(588, 16), nn.ReLU(inplace=True), nn.Dropout(0.5),
            nn.Linear(16, 3),
        )
    )  # fmt: skip


class ValidResidual(nn.Module):
    """Two residual blocks that crop their shortcut; a mean and a maximum before two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2)
        self.first = nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
        self.down = nn.Conv2d(8, 16, 2, 2)
        self.second = nn.Sequential(nn.Conv2d(16, 16, 3), nn.GELU())
        self.head = nn.Sequential(nn.Linear(32, 10), nn.ReLU(), nn.Linear(10, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, 3]."""
        maps = torch.relu(self.stem(images))
        maps = torch.relu(maps[..., 2:-2, 2:-2] + self.first(maps))
        maps = self.down(maps)
        maps = torch.relu(maps[..., 1:-1, 1:-1] + self.second(maps))
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)
        logits: Tensor = self.head(pooled)
        return logits


def valid_residual() -> nn.Module:
    """Make a `ValidResidual`; stride 4."""
    return _seeded(ValidResidual())


def _seeded(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            spread = (2 / parameter[0].numel()) ** 0.5
            parameter.data = spread * torch.randn(parameter.shape, generator=generator)
    return network.eval()
