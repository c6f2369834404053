"""What colour says about a thumbnail's pixels: glass, stain, or ink."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float32]


def density(rgb: Pixels) -> Floats:
    """Optical density of each channel relative to the glass, at least 0.

    Args:
        rgb: uint8 [h, w, 3].

    Returns:
        float32 [h, w, 3], natural logarithm.
    """
    grey_levels = np.arange(256, dtype=np.float32)
    glass = _glass(rgb)
    tables = np.maximum(np.log((glass[:, None] + 1) / (grey_levels + 1)), 0)
    return np.stack([tables[channel][rgb[..., channel]] for channel in range(3)], axis=-1)


def stain(rgb: Pixels) -> Floats:
    """How much more green light is absorbed than the least absorbed of red and blue.

    Args:
        rgb: uint8 [h, w, 3].

    Returns:
        float32 [h, w], 0 for glass and for every grey.
    """
    absorbed = density(rgb)
    beyond: Floats = np.maximum(absorbed[..., 1] - absorbed[..., ::2].min(axis=-1), np.float32(0))
    return beyond


def pen_mask(rgb: Pixels) -> Bools:
    """Pixels that are ink of a blue, green, black or red pen, on glass or over tissue.

    Haematoxylin and eosin absorb green light more than red; blue, green and black inks absorb red
    at least as much, and so does tissue under them, because optical densities add up. Thin blue
    ink over eosin leaves blue light alone more than any haematoxylin that absorbs red as much.
    Red ink absorbs green and blue strongly and hardly any red; blood absorbs less, eosin less
    blue. The bounds lie between a prostate's ink and the un-inked tissue of seven other sources,
    of whose pixels below 1 % are called ink.

    Args:
        rgb: uint8 [h, w, 3].

    Returns:
        bool [h, w].
    """
    red, green, blue = np.moveaxis(density(rgb), -1, 0)
    cool = (red > green + 0.02) & (red > 0.25)
    thin_blue = (red > 0.82 * green) & (blue < 0.45 * green) & (red > 0.25)
    black = (red > 0.93 * green) & (np.minimum(green, blue) > 1.1)
    warm = (red < 0.18 * green) & (blue > 0.55 * green) & (green > 1.2)
    return np.asarray(cool | thin_blue | black | warm)


def _glass(rgb: Pixels) -> Floats:
    """Colour of the glass: the bright and nearly grey pixels, but not white where nothing is."""
    darkest, brightest = rgb.min(axis=-1), rgb.max(axis=-1)
    scanned = (darkest >= 180) & (darkest < 253) & (brightest - darkest <= 16)
    if scanned.mean() < 0.005:
        return np.full(3, 245, np.float32)
    # Mucin and fat are nearly grey too, but darker: hence not the median.
    glass: Floats = np.percentile(rgb[scanned], 90, axis=0).astype(np.float32)
    return glass
