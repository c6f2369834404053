"""What lies over a slide's picture: values of cells at its pixels, painted where there is tissue.

Everything is arithmetic on the thumbnail's pixels, so that a cell's edge lies within half a pixel
of where level 0 has it, and 100,000 patches cost no more than a few.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.regions.field import sample
from histocnn.regions.ink import glass_colour

Pair = tuple[float, float]
Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

PICTURE_PX = 2000  # the longest side of a thumbnail worth asking for
OVERVIEW_PX = 3000  # the same for a page, which can be zoomed
_SMALLEST_PX = 1000  # smaller thumbnails are enlarged, so that lines stay thin and letters fit
_NOISE = 6  # grey levels by which glass differs from its own colour
_FAINT = 20  # further levels until a pixel is wholly tissue


def shrunk(thumbnail: Pixels, max_px: int) -> Pixels:
    """A thumbnail [h, w, 3] whose longer side is at most `max_px`; smaller ones as they are."""
    scale = max_px / max(thumbnail.shape[:2])
    if scale >= 1:
        return thumbnail
    width, height = (max(1, round(side * scale)) for side in thumbnail.shape[1::-1])
    return np.asarray(cv2.resize(thumbnail, (width, height), interpolation=cv2.INTER_AREA))


def canvas(thumbnail: Pixels, size_l0: tuple[int, int], slide_mpp: Pair) -> Pixels:
    """The thumbnail as a picture to paint on, [h, w, 3]: large enough, in true proportions.

    A slide with different µm/px in x and y is shown in its true proportions; other thumbnails that
    are large enough come back as they are.
    """
    height, width = thumbnail.shape[:2]
    grow = max(1.0, _SMALLEST_PX / max(height, width))
    tall = size_l0[1] * slide_mpp[1] / (size_l0[0] * slide_mpp[0]) * width / height
    stretch = tall if abs(tall - 1) > 0.02 else 1.0
    size = (max(1, round(width * grow)), max(1, round(height * grow * stretch)))
    if size == (width, height):
        return thumbnail.copy()
    return np.asarray(cv2.resize(thumbnail, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def tissue_share(picture: Pixels) -> Floats:
    """How much of each pixel is more than glass, float32 [h, w] from 0 to 1.

    By its colour alone: what is stained is never taken for glass, and lumina stay clear.
    """
    glass = np.rint(glass_colour(picture))
    # A speck of noise is no tissue; means of 3 × 3 pixels even it out.
    even = cv2.split(cv2.blur(picture, (3, 3)))
    red, green, blue = (
        cv2.subtract(each, channel) for each, channel in zip(glass.tolist(), even, strict=True)
    )
    darker = cv2.max(cv2.max(red, green), blue)
    steps = np.clip((np.arange(256) - _NOISE) / _FAINT, 0, 1).astype(np.float32)
    return np.asarray(cv2.LUT(darker, steps), np.float32)


def at_pixels(
    values: Floats,
    stride_l0: Pair,
    size_l0: tuple[int, int],
    size_px: tuple[int, int],
    *,
    smooth: bool,
) -> Floats:
    """The values of cells at the centres of a picture's pixels, NaN where there is none.

    Args:
        values: float32 [rows, cols]; cell (0, 0) begins at level-0 (0, 0).
        stride_l0: Width and height of a cell in level-0 pixels.
        size_l0: Width and height of level 0.
        size_px: Width and height of the picture; it covers level 0 exactly.
        smooth: Between the centres of cells linearly; else a pixel has its own cell's value.

    Returns:
        float32 [h, w].
    """
    x, y = ((np.arange(px) + 0.5) * l0 / px for px, l0 in zip(size_px, size_l0, strict=True))
    if smooth:
        return sample(values, stride_l0, x, y)
    col = np.minimum((x / stride_l0[0]).astype(np.intp), values.shape[1] - 1)
    row = np.minimum((y / stride_l0[1]).astype(np.intp), values.shape[0] - 1)
    own: Floats = values[row[:, None], col[None]]
    return own


def lay(picture: Pixels, colours: Pixels, opacity: Floats) -> Pixels:
    """Colours [h, w, 3] over the picture [h, w, 3], each pixel as opaque as `opacity` [h, w]."""
    mixed = cv2.blendLinear(colours, picture, opacity, 1 - opacity)
    return np.asarray(mixed, dtype=np.uint8)
