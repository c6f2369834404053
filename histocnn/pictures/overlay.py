"""What lies over a slide's picture: colours, painted where there is tissue.

Everything is arithmetic on the thumbnail's pixels, so that a cell's edge lies within half a pixel
of where level 0 has it, and 100,000 patches cost no more than a few.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

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
    """A thumbnail [h, w, 3] whose longer side is at most `max_px`; smaller ones as they are.

    Linearly between pixels, of which none is left out where it was at most twice as large.
    """
    scale = max_px / max(thumbnail.shape[:2])
    if scale >= 1:
        return thumbnail
    width, height = (max(1, round(side * scale)) for side in thumbnail.shape[1::-1])
    return np.asarray(cv2.resize(thumbnail, (width, height)))


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
        return thumbnail
    return np.asarray(cv2.resize(thumbnail, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def tissue_share(picture: Pixels) -> Pixels:
    """How much of each pixel is more than glass, uint8 [h, w]; 255 is all of it.

    By its colour alone: what is stained is never taken for glass, and lumina stay clear.
    """
    glass = np.rint(glass_colour(picture))
    # A speck of noise is no tissue; means of 3 × 3 pixels even it out.
    even = cv2.split(cv2.blur(picture, (3, 3)))
    red, green, blue = (
        cv2.subtract(each, channel) for each, channel in zip(glass.tolist(), even, strict=True)
    )
    darker = cv2.max(cv2.max(red, green), blue)
    steps = np.clip((np.arange(256) - _NOISE) / _FAINT, 0, 1) * 255
    return np.asarray(cv2.LUT(darker, np.rint(steps).astype(np.uint8)), np.uint8)


def paint(
    picture: Pixels,
    values: Floats,
    tissue: Pixels,
    opacity: NDArray[np.floating],
    colours: Pixels,
    called: Pixels | None = None,
) -> Pixels:
    """A picture with colours over its tissue, uint8 [h, w, 3].

    Args:
        picture: What lies below.
        values: From 0 to 1, [h, w].
        tissue: How much of each pixel is painted, of 255, [h, w].
        opacity: Of each of 256 steps of the values, 0 to 1.
        colours: RGB [256, 3].
        called: Which of the colours each pixel has; by default the one of its value's step.
    """
    steps = cv2.convertScaleAbs(values, alpha=255)
    above = cv2.applyColorMap(steps if called is None else called, colours[:, None])
    opaque = np.asarray(cv2.LUT(steps, np.rint(255 * opacity).astype(np.uint8)), np.uint8)
    cv2.multiply(opaque, tissue, opaque, 1 / 255)
    return lay(picture, np.asarray(above, np.uint8), opaque)


def lay(picture: Pixels, colours: Pixels, opacity: Pixels) -> Pixels:
    """Colours [h, w, 3] over the picture [h, w, 3], as opaque as `opacity` [h, w], 255 wholly."""
    above, below = (cv2.merge([share] * 3) for share in (opacity, cv2.bitwise_not(opacity)))
    cv2.multiply(colours, above, above, 1 / 255)  # in place: new memory is as dear as arithmetic
    cv2.multiply(picture, below, below, 1 / 255)
    return np.asarray(cv2.add(above, below, above), np.uint8)
