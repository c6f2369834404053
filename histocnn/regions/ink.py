"""What colour says about a thumbnail's pixels: glass, stain, or ink."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float32]


def density(rgb: Pixels, glass: Floats | None = None) -> Floats:
    """Optical density of each channel relative to the glass, at least 0.

    Args:
        rgb: uint8 [h, w, 3].
        glass: float32 [3], the slide's `glass_colour`; by default the image's own.

    Returns:
        float32 [h, w, 3], natural logarithm.
    """
    grey_levels = np.arange(256, dtype=np.float32)
    glass = glass_colour(rgb) if glass is None else glass
    tables = np.maximum(np.log((glass[:, None] + 1) / (grey_levels + 1)), 0)
    return np.stack([tables[channel][rgb[..., channel]] for channel in range(3)], axis=-1)


def stain(rgb: Pixels, glass: Floats | None = None) -> Floats:
    """How much more green light is absorbed than the least absorbed of red and blue.

    Args:
        rgb: uint8 [h, w, 3].
        glass: float32 [3], the slide's `glass_colour`; by default the image's own.

    Returns:
        float32 [h, w], 0 for glass and for every grey.
    """
    absorbed = density(rgb, glass)
    beyond: Floats = np.maximum(absorbed[..., 1] - absorbed[..., ::2].min(axis=-1), np.float32(0))
    return beyond


def pen_mask(rgb: Pixels, glass: Floats | None = None) -> Bools:
    """Pixels that are ink of a blue, green, black or red pen, on glass or over tissue.

    Haematoxylin and eosin absorb green light more than red; blue and green inks absorb red at
    least as much, and so does tissue under them, because optical densities add up. Thin blue ink
    over eosin leaves blue light alone more than any haematoxylin that absorbs red as much. Black
    leaves no colour alone. Red ink absorbs green and blue strongly and hardly any red; blood
    absorbs less, eosin less blue, and neither as much green as red ink over tissue. The bounds lie
    between a prostate's ink and the un-inked tissue of seven other sources, of whose pixels below
    1 % are called ink.

    Args:
        rgb: uint8 [h, w, 3].
        glass: float32 [3], the slide's `glass_colour`; by default the image's own.

    Returns:
        bool [h, w].
    """
    return pen_by_density(density(rgb, glass))


def pen_by_density(absorbed: Floats) -> Bools:
    """As `pen_mask`, of optical density float32 [h, w, 3]."""
    red, green, blue = (np.ascontiguousarray(absorbed[..., channel]) for channel in range(3))
    cool = (red > green + 0.02) & (red > 0.25)
    thin_blue = (red > 0.82 * green) & (blue < 0.45 * green) & (red > 0.25)
    black = (np.minimum(red, blue) > 0.8 * green) & (np.minimum(green, blue) > 1.1)
    warm = (red < 0.18 * green) & (blue > 0.55 * green) & (green > 1.1)
    warm |= (red < 0.28 * green) & (blue > 0.55 * green) & (green > 1.9)
    return np.asarray(cool | thin_blue | black | warm)


def with_rim(pen: Bools, rgb: Pixels, reach_px: int = 2) -> Bools:
    """A pen mask whose border is drawn anew where ink is a third of the pixel.

    At 8 µm/px the border of a stroke is a mixture of the ink beside it and of what lies on the
    other side. Both are known from within `2 * reach_px + 1` pixels, so the share of ink is the
    pixel's projection on the line between the two colours.

    Args:
        pen: bool [h, w].
        rgb: uint8 [h, w, 3].
        reach_px: Width of the border on either side of the mask's.

    Returns:
        bool [h, w].
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach_px + 1,) * 2)
    inner = cv2.erode(pen.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    outer = cv2.dilate(pen.astype(np.uint8), disc) == 0
    side = 4 * reach_px + 3
    ink, ink_weight = _local_mean(rgb, inner, side)
    rest, rest_weight = _local_mean(rgb, outer, side)
    line = ink - rest
    share = ((rgb - rest) * line).sum(axis=-1) / np.maximum((line**2).sum(axis=-1), 1)
    near_both = (ink_weight > 0) & (rest_weight > 0) & ~inner & ~outer
    return np.asarray(np.where(near_both, share > 1 / 3, pen))


def _local_mean(rgb: Pixels, weight: Bools, side: int) -> tuple[Floats, Floats]:
    weights = weight.astype(np.float32)
    near = np.asarray(cv2.blur(weights, (side, side)), np.float32)
    total = np.asarray(cv2.blur(rgb * weights[..., None], (side, side)), np.float32)
    # Running sums leave a rest where nothing is; one pixel in the window is far more.
    least = np.float32(0.5 / side**2)
    near[near < least] = 0
    total /= np.maximum(near, least)[..., None]
    return total, near


def glass_colour(rgb: Pixels) -> Floats:
    """Colour of the glass: the bright and nearly grey pixels, but not white where nothing is."""
    step = max(1, round((rgb.shape[0] * rgb.shape[1] / 1e6) ** 0.5))  # a million pixels will do
    channels = (np.asarray(each, np.uint8) for each in cv2.split(rgb[::step]))
    some = [np.ascontiguousarray(channel[:, ::step]) for channel in channels]
    darkest, brightest = (end(end(some[0], some[1]), some[2]) for end in (cv2.min, cv2.max))
    scanned = (darkest >= 180) & (darkest < 253) & (brightest - darkest <= 16)
    if scanned.mean() < 0.005:
        return np.full(3, 245, np.float32)
    # Mucin and fat are nearly grey too, but darker: hence not the median.
    return np.array([_percentile_90(channel, scanned) for channel in some], np.float32)


def _percentile_90(channel: Pixels, where: Bools) -> float:
    """As `np.percentile` has it, in a third of its time."""
    counts = cv2.calcHist([channel], [0], where.view(np.uint8), [256], [0, 256])
    upto = np.cumsum(counts)
    below, share = divmod(0.9 * (upto[-1] - 1), 1)
    low, high = np.searchsorted(upto, [below, below + (share > 0)], side="right")
    return float(low + (high - low) * share)
