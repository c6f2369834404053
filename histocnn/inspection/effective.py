"""What a unit looks at indeed: the effective receptive field of Luo et al. (2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from histocnn.errors import ModelError
from histocnn.inspection.watching import fitting, outputs

CHUNK = 4  # images at a time: the backward pass keeps every map of so many


@dataclass(frozen=True)
class EffectiveField:
    """|∂ centre unit / ∂ input|, averaged over images.

    Attributes:
        layer: Whose centre unit it is.
        gradient: float32 [H, W], sums to 1; all zero where nothing moves the unit.
        width_px: (x, y): ± 2 deviations of its spatial second moment; None where all is zero.
    """

    layer: str
    gradient: NDArray[np.float32]
    width_px: tuple[float, float] | None


def effective_fields(
    network: nn.Module, images: Tensor, layers: Sequence[str], chunk: int = CHUNK
) -> list[EffectiveField]:
    """The effective field of the centre unit of each layer.

    The unit is the mean over channels at the cell in the middle of the map (right of and below it
    where there are two), the gradient the mean over the images of its absolute value, summed over
    the input's channels (Luo et al. 2016, "Understanding the effective receptive field").

    Args:
        network: Any torch module, in evaluation mode.
        images: float [B, C, H, W], as the network takes them.
        layers: Names of layers that give maps [B, F, h, w].
        chunk: Images at a time, which bounds the memory.

    Raises:
        UsageError: The network has no such layer.
        ModelError: A layer gives no map, is not called, or the memory is too small.
    """
    sums = {name: torch.zeros(images.shape[-2:], dtype=torch.float64) for name in layers}
    for some in torch.split(images, chunk):
        given = some.detach().clone().requires_grad_(True)
        with torch.enable_grad(), fitting(some):
            seen = outputs(network, given, layers)
            for number, name in enumerate(layers):
                centre = _centre(seen[name], name)
                (gradient,) = torch.autograd.grad(
                    centre, given, retain_graph=number < len(layers) - 1, allow_unused=True
                )
                if gradient is not None:
                    sums[name] += gradient.abs().sum((0, 1)).double().cpu()
        seen.clear()
    return [_field(name, total.numpy()) for name, total in sums.items()]


def _centre(maps: Tensor, name: str) -> Tensor:
    if maps.ndim != 4:
        raise ModelError(
            f"its layer {name} gives no map of the image", "An effective field is a map's."
        )
    return maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2].mean(1).sum()


def _field(name: str, total: NDArray[np.float64]) -> EffectiveField:
    weight = total.sum()
    if weight == 0:
        return EffectiveField(name, total.astype(np.float32), None)
    shares = total / weight
    widths = tuple(_width(shares.sum(axis)) for axis in (0, 1))
    return EffectiveField(name, shares.astype(np.float32), (widths[0], widths[1]))


def _width(shares: NDArray[np.float64]) -> float:
    """Four deviations of where the shares lie.

    >>> _width(np.array([0.5, 0, 0.5]))
    4.0
    """
    places = np.arange(len(shares))
    mean = (shares * places).sum()
    return float(4 * np.sqrt((shares * (places - mean) ** 2).sum()))
