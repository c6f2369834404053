"""The weights of a network's first layer, as what they are compared with: pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from histocnn.errors import ModelError
from histocnn.inspection.architecture import Architecture
from histocnn.inspection.naming import layer_of


@dataclass(frozen=True)
class Filters:
    """Weights of the layer that meets the pixels.

    Attributes:
        layer: Its name.
        weights: float32 [F, C, h, w].
    """

    layer: str
    weights: NDArray[np.float32]


def first_filters(network: nn.Module, architecture: Architecture) -> Filters:
    """The first convolution's kernels, or a linear layer's weights laid out as the image.

    Args:
        network: The module.
        architecture: Its table, as `receptive_fields` gives it.

    Raises:
        ModelError: The first layer with weights takes neither an image nor all its pixels.
    """
    channels, height, width = architecture.input_shape
    for row in architecture:
        if row.call != 1:
            continue
        module = layer_of(network, row.name) if row.name else network
        if isinstance(module, nn.Conv2d):
            return Filters(row.name, _array(module.weight))
        if isinstance(module, nn.Linear):
            weights, taken = _array(module.weight), module.in_features
            if taken % (height * width) == 0 and taken // (height * width) <= channels:
                planes = taken // (height * width)
                return Filters(row.name, weights.reshape(-1, planes, height, width))
            break
    raise ModelError(
        "its first layer with weights takes neither an image nor all its pixels",
        "Its other layers can be looked at.",
    )


def _array(weight: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = weight.detach().float().cpu().numpy()
    return found
