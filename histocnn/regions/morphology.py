"""Smoothing, closing and cleaning of thumbnails, in µm where pixels are not square."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float32]


def blurred(values: Floats, pixel_um: tuple[float, float], sigma_um: float) -> Floats:
    """Gaussian smoothing of standard deviation `sigma_um`; 0 is none."""
    if sigma_um == 0:
        return values
    sigma_x, sigma_y = (sigma_um / um for um in pixel_um)
    return np.asarray(
        cv2.GaussianBlur(
            values, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y, borderType=cv2.BORDER_REPLICATE
        ),
        np.float32,
    )


def closed(mask: Bools, pixel_um: tuple[float, float], width_um: float) -> Bools:
    """The mask with gaps of up to about `width_um` closed, outwards too."""
    disc = _disc(pixel_um, width_um / 2)
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc).astype(bool)


def without_small(mask: Bools, min_px: float) -> Bools:
    """The mask without connected parts (by sides, not corners) of fewer than `min_px` pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    kept = stats[:, cv2.CC_STAT_AREA] >= min_px
    kept[0] = False
    return np.asarray(kept[labels])


def _disc(pixel_um: tuple[float, float], radius_um: float) -> Pixels:
    size = [2 * round(radius_um / um) + 1 for um in pixel_um]
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size), np.uint8)
