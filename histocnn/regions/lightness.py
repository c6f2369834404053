"""Tissue told by lightness alone, as colour-blind as tissue.py is not: a second opinion, and fat.

Whatever absorbs or bends light is darker than the glass around it, whichever its colour: another
stain, blood, dirt, and the walls of fat cells, which are too thin to show colour in an overview.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.regions.morphology import blurred, closed, without_small

Pixels: TypeAlias = NDArray[np.uint8]
Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float32]

SHRINK = 2  # half the overview's resolution is enough for an area
WALL_DENSITY = 0.025  # of fat cells' walls in a pixel of 16 µm; glass stays below 0.01
FAT_CELL_UM = 150.0  # gaps up to about this wide are cells
SMOOTH_UM = 8.0
MIN_AREA_UM2 = 20_000.0
LEAST_SHINE = 8.0  # grey levels above the dark: noise stays below
DARK_LEVEL = 60  # grey level below which a pixel shows no light
BRIGHT_LEVEL = 180  # every channel of glass is above it


def is_dark_field(rgb: Pixels) -> bool:
    """Whether most of an overview is black and none of it glass: fluorescence, or dark field."""
    some = rgb[::4, ::4]
    black = float((some.max(axis=-1) < DARK_LEVEL).mean())
    glass = float((some.min(axis=-1) >= BRIGHT_LEVEL).mean())
    return black > 0.5 and glass < 0.01


def lit(rgb: Pixels, pixel_um: tuple[float, float]) -> Bools:
    """What shines in a dark field: brighter than half way from the dark to Otsu's threshold.

    Otsu's own would lose what shines weakly beside what shines strongly.
    """
    light = blurred(rgb.max(axis=-1).astype(np.float32), pixel_um, SMOOTH_UM)
    level, _ = cv2.threshold(
        cv2.convertScaleAbs(light), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU
    )
    dark = float(np.median(light))
    return np.asarray(light > dark + max((level - dark) / 2, LEAST_SHINE))


def covered(rgb: Pixels, glass: Floats, pixel_um: tuple[float, float]) -> Bools:
    """Whatever lies on the glass, be it coloured or not: bool [h, w]."""
    height, width = rgb.shape[:2]
    size = max(1, width // SHRINK), max(1, height // SHRINK)
    grey = cv2.cvtColor(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    bright = float(glass @ np.array([0.299, 0.587, 0.114]))  # as cv2 weighs red, green and blue
    density = np.log((bright + 1) / (grey.astype(np.float32) + 1))
    coarse_um = pixel_um[0] * width / size[0], pixel_um[1] * height / size[1]
    dark = blurred(density, coarse_um, SMOOTH_UM) > WALL_DENSITY
    area_um2 = coarse_um[0] * coarse_um[1]
    dark = without_small(dark, MIN_AREA_UM2 / area_um2 / 4)
    dark = closed(dark, coarse_um, FAT_CELL_UM)
    dark = without_small(dark, MIN_AREA_UM2 / area_um2)
    return cv2.resize(dark.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
