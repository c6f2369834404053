"""Which layers and channels are shown where nobody named any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from histocnn.inspection.architecture import Architecture, Layer

LAYERS, CHANNELS = 4, 9
IDLE = ("Flatten", "Dropout", "Dropout2d", "Identity")
RECTIFIERS = ("ReLU", "ReLU6", "LeakyReLU", "PReLU", "SiLU", "GELU", "Hardswish", "ELU", "Mish")


def channels_of(layer: Layer) -> int:
    """How many channels a layer gives; of tokens, their width."""
    return layer.output_shape[0] if len(layer.output_shape) == 3 else layer.output_shape[-1]


def candidates(architecture: Architecture) -> list[Layer]:
    """Layers worth a look: rectified maps, else maps, else tokens, else vectors; each once."""
    called = [layer for layer in architecture if layer.call == 1 and layer.name]
    once = [layer for layer in called if layer.output_shape and layer.kind not in IDLE]
    maps = [
        layer for layer in once
        if len(layer.output_shape) == 3 and layer.output_shape[1] * layer.output_shape[2] > 1
    ]  # fmt: skip
    rectified = [layer for layer in maps if layer.kind in RECTIFIERS]
    tokens = [layer for layer in once if len(layer.output_shape) == 2]
    if tokens and len(maps) <= 1:  # of a transformer the embedding alone is a map
        return tokens
    return rectified or maps or once


def chosen(architecture: Architecture, count: int = LAYERS) -> list[str]:
    """So many of them, evenly from the first to the last."""
    names = [layer.name for layer in candidates(architecture)]
    return [names[i] for i in evenly(len(names), count)]


def evenly(total: int, count: int = CHANNELS) -> Sequence[int]:
    """Up to `count` of 0..total - 1, evenly spaced.

    >>> evenly(64, 3), evenly(2, 9)
    ([0, 32, 63], [0, 1])
    """
    if total <= count:
        return list(range(total))
    return [int(i) for i in np.rint(np.linspace(0, total - 1, count))]
