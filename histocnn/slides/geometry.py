"""Where a patch's pixels are read: arithmetic only.

A patch is `patch_px` square at `mpp`. Its footprint on the slide stays a float; what is read is
a whole number of pixels of one level, centred on that footprint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.errors import UsageError

LEVEL_TOLERANCE = 1.05  # a level this much coarser than asked still serves: 5 % is not seen

Size = tuple[int, int]
Resolution = tuple[float, float]
Pixels = NDArray[np.uint8]

# Our own threads and processes share the cores already, and OpenCV's pool does not survive a fork.
cv2.setNumThreads(1)


class Crops(NamedTuple):
    """Rectangles of one size on one level.

    Attributes:
        level: Index of the level.
        size_px: Width and height of each rectangle in that level's pixels.
        origins_px: int64 [N, 2], (x, y) top left in that level's pixels; may lie outside it.
    """

    level: int
    size_px: Size
    origins_px: NDArray[np.int64]


def choose_level(slide_mpp: Resolution, level_sizes: Sequence[Size], mpp: float) -> int:
    """The coarsest level whose own µm/px along both axes is at most 1.05 × `mpp`, else level 0.

    Args:
        slide_mpp: µm/px of level 0 along x and y.
        level_sizes: (width, height) of each level, level 0 first.
        mpp: µm/px asked for.

    Raises:
        UsageError: `mpp` is no positive number.
    """
    if not (math.isfinite(mpp) and mpp > 0):
        raise UsageError(f"mpp is {mpp}", "Give the patches' resolution in µm/px, for example 0.5.")
    limit = LEVEL_TOLERANCE * mpp * (1 + 1e-9)
    eligible = [
        level
        for level, size in enumerate(level_sizes)
        if max(level_mpp(slide_mpp, level_sizes[0], size)) <= limit
    ]
    return max(eligible, key=lambda level: -level_sizes[level][0], default=0)


def level_mpp(slide_mpp: Resolution, size_l0: Size, level_size: Size) -> Resolution:
    """µm/px of a level along x and y, from its own size and not from a mean downsample."""
    return (
        slide_mpp[0] * size_l0[0] / level_size[0],
        slide_mpp[1] * size_l0[1] / level_size[1],
    )


def crops(
    xy_l0: ArrayLike,
    size_px: Size,
    mpp: float,
    slide_mpp: Resolution,
    level_sizes: Sequence[Size],
) -> Crops:
    """The rectangles to read for patches of one size and resolution.

    Args:
        xy_l0: [N, 2], (x, y) top left of each patch in level-0 pixels, may be fractional.
        size_px: Width and height of a patch, px at `mpp`.
        mpp: µm/px of the patches.
        slide_mpp: µm/px of level 0 along x and y.
        level_sizes: (width, height) of each level, level 0 first.

    Returns:
        Along each axis the multiple of the patch's size where one is within a pixel of the exact
        length (a multiple of 1 is a plain copy), else the exact length rounded; centred on the
        footprint to the nearest pixel of the level, halves to the right and down.

    Raises:
        UsageError: `mpp` is no positive number.
    """
    level = choose_level(slide_mpp, level_sizes, mpp)
    size_l0, level_size = np.array(level_sizes[0]), np.array(level_sizes[level])
    downsample = size_l0 / level_size
    footprint_l0 = np.array(size_px) * mpp / np.array(slide_mpp)
    w, h = (
        _whole_px(length, patch)
        for length, patch in zip(footprint_l0 / downsample, size_px, strict=True)
    )
    centres = (np.asarray(xy_l0, np.float64).reshape(-1, 2) + footprint_l0 / 2) / downsample
    # 1e-6 px lets rounding errors of the arithmetic decide no tie.
    origins = np.floor(centres - np.array([w, h]) / 2 + 0.5 + 1e-6).astype(np.int64)
    return Crops(level, (w, h), origins)


def _whole_px(exact_px: float, patch_px: int) -> int:
    multiple = max(1, round(exact_px / patch_px)) * patch_px
    return multiple if abs(multiple - exact_px) <= 1 else max(1, round(exact_px))


def resample(pixels: Pixels, size_px: Size, out: Pixels | None = None) -> Pixels:
    """Bring pixels [h, w, 3] to `size_px` (w, h): by area where smaller, linearly where larger.

    Pixels that have the size already are returned as they are; others may be written to `out`, and
    are then returned as that.
    """
    h, w = pixels.shape[:2]
    shrunk = min(w, size_px[0]), min(h, size_px[1])
    resized: Any = pixels
    if shrunk != (w, h):
        last = out if shrunk == size_px else None
        resized = cv2.resize(resized, shrunk, last, interpolation=cv2.INTER_AREA)
    if shrunk != size_px:
        resized = cv2.resize(resized, size_px, out, interpolation=cv2.INTER_LINEAR)
    return cast(Pixels, resized)
