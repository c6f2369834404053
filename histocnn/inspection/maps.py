"""A map of one class over an image: its scale, its size, and whether it says anything."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def undefined(maps: Floats) -> NDArray[np.bool_]:
    """Which maps [..., h, w] have nothing above 0, so that they point nowhere: bool [...]."""
    return np.asarray(~np.any(maps > 0, axis=(-2, -1)))


def scaled(maps: Floats) -> Floats:
    """Maps [..., h, w], each from its least positive part (0 where anything is negative) 0 to 1.

    ReLU, then (map - min) / (max - min) for each map, as pictures of class activation maps are
    shown. A map without anything above 0 is undefined: NaN; one that is the same everywhere is 1.

    >>> scaled(np.float32([[[-1, 1], [2, 4]]])).tolist()
    [[[0.0, 0.25], [0.5, 1.0]]]
    """
    positive = np.maximum(maps, 0)
    least, most = (f(positive, axis=(-2, -1), keepdims=True) for f in (np.min, np.max))
    extent = most - least
    flat = np.where(most > 0, np.float32(1), np.float32(np.nan))
    whole = (positive - least) / np.where(extent > 0, extent, 1)
    result: Floats = np.where(extent > 0, whole, flat).astype(np.float32)
    return result


def enlarged(maps: Floats, shape: tuple[int, int]) -> Floats:
    """Maps [B, h, w] over the pixels (rows, cols) of their image: bilinear, cell by cell.

    A cell stands for its share of the image's square, as is usual for such pictures; of a padded
    network its receptive field's centre lies up to half a stride beside it.
    """
    made = F.interpolate(
        torch.from_numpy(np.ascontiguousarray(maps, np.float32))[:, None], shape, mode="bilinear"
    )
    grown: Floats = made[:, 0].numpy()
    return grown
