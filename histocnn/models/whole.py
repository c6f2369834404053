"""A network with what is around it inside: pixels in, probabilities out, for other programs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from histocnn.models.preparation import to_input
from histocnn.models.spec import ModelSpec


class Whole(nn.Module):
    """Scaling, normalisation, network, temperature and softmax in one.

    Args:
        network: float [B, 3, h, w], normalised → logits [B, C].
        spec: How pixels become input, and the temperature.
    """

    def __init__(self, network: nn.Module, spec: ModelSpec) -> None:
        super().__init__()
        self.network = network
        self.spec = spec

    def forward(self, pixels: Tensor) -> Tensor:
        """Probabilities [B, C] of patches uint8 [B, H, W, 3]."""
        logits: Tensor = self.network(to_input(pixels, self.spec))
        return torch.softmax(logits / self.spec.temperature, dim=1)


class Tempered(nn.Module):
    """A network for programs that normalise before it and take the softmax behind it.

    Args:
        network: As for `Whole`.
        spec: As for `Whole`; knows the side of the patches that come.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, spec: ModelSpec) -> None:
        super().__init__()
        self.network = network
        self.spec = spec
        self.scales = spec.input_px not in (None, spec.patch_px)
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(spec.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits over the temperature [B, C], of images float32 [B, 3, H, W], normalised."""
        if self.scales:  # as the patches were: what was normalised becomes pixels once more
            pixels = (images * self.std + self.mean) * 255
            images = to_input(pixels.permute(0, 2, 3, 1), self.spec)
        logits: Tensor = self.network(images)
        return logits / self.spec.temperature
