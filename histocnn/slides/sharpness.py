"""How sharp a patch is: the blur, in µm, that would take the slide's sharpest patches as far.

Blur takes fine detail before coarse. The measure is the logarithm of the energy of luminance in a
band of fine detail over that in a band twice as coarse; what a patch shows moves both alike. If a
picture's power falls with the square of frequency, as that of natural images does (Field 1987, J
Opt Soc Am A 4:2379), the ratio after a Gaussian blur follows from the bands alone, so that a loss
of detail is read as the deviation of a Gaussian without anything being fitted.
docs/benchmarks.md has how near that comes.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

BANDS_UM = np.array([0.6, 1.2, 2.4])  # Gaussians whose differences are the two bands
LEAST_PX = 0.45  # the first of them at least: a coarse patch has no finer detail
FINEST_MPP = 0.6  # what is finer is made smaller first, by whole pixels
MIN_ENERGY = 0.5  # grey levels², of the coarse band: below it noise is all that a patch shows
SMOOTH_PX = 2.0  # deviation of a Gaussian after which half the pixels will do
MAX_BLUR_UM = 10.0  # beyond it nothing is left to measure
SHARPEST = 0.95  # quantile: the median of the sharpest tenth


def detail(pixels: Pixels, mpp: float) -> Floats:
    """Fine detail of patches beside their coarse detail.

    Args:
        pixels: uint8 [B, H, W, 3].
        mpp: Their µm/px.

    Returns:
        float32 [B], the logarithm of a ratio of energies; NaN where nothing is to be seen.
    """
    shrink = max(1, int(FINEST_MPP / mpp))
    # The mean of `shrink` pixels is a blur already, of this deviation.
    by_shrinking_px = np.sqrt((shrink**2 - 1) / 12) / shrink
    sigmas_px = bands_um(mpp) / (mpp * shrink)
    sigmas_px = np.sqrt(np.maximum(sigmas_px**2 - by_shrinking_px**2, 0))
    steps_px = np.sqrt(np.diff(sigmas_px**2, prepend=0))
    return np.array([_detail(patch, shrink, steps_px) for patch in pixels], np.float32)


def _detail(patch: Pixels, shrink: int, steps_px: NDArray[np.floating[Any]]) -> float:
    grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)
    if shrink > 1:
        size = (max(1, grey.shape[1] // shrink), max(1, grey.shape[0] // shrink))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    first = _blurred(grey.astype(np.float32), steps_px[0])
    second = _blurred(first, steps_px[1])
    fine = cv2.norm(first, second, cv2.NORM_L2SQR) / second.size
    if np.hypot(*steps_px[:2]) >= SMOOTH_PX:  # every other pixel says the same
        second, steps_px = np.ascontiguousarray(second[::2, ::2]), steps_px / 2
    third = _blurred(second, steps_px[2])
    coarse = cv2.norm(second, third, cv2.NORM_L2SQR) / second.size
    return float(np.log(fine / coarse)) if coarse >= MIN_ENERGY and fine > 0 else float("nan")


def _blurred(image: NDArray[Any], sigma_px: float) -> NDArray[Any]:
    side = 2 * int(np.ceil(3 * sigma_px)) + 1
    return cv2.GaussianBlur(image, (side, side), sigma_px, borderType=cv2.BORDER_REFLECT)


def bands_um(mpp: float) -> NDArray[np.float64]:
    """Deviations of the three Gaussians at a scale, µm: twice the one before each."""
    return np.asarray(BANDS_UM * max(1.0, LEAST_PX * mpp / BANDS_UM[0]), np.float64)


def expected(blur_um: NDArray[np.floating[Any]], mpp: float) -> NDArray[np.float64]:
    """The detail left by a Gaussian blur of deviation `blur_um` [N], 0 without; see above.

    The energy of the difference of Gaussians of variance a and b in a picture of power 1 / f² is
    proportional to ln((a + b)² / 4ab), and a blur adds its own variance to both.
    """
    a, b, c = bands_um(mpp)[:, None] ** 2 + np.asarray(blur_um, np.float64)[None] ** 2
    fine, coarse = np.log((a + b) ** 2 / (4 * a * b)), np.log((b + c) ** 2 / (4 * b * c))
    return np.asarray(np.log(fine / coarse))


def equivalent_blur(details: Floats, mpp: float, sharpest: float) -> Floats:
    """Gaussian blur that would take the sharpest patches as far, µm, at most `MAX_BLUR_UM`.

    Args:
        details: [N], of `detail`.
        mpp: µm/px of the patches.
        sharpest: The detail of the slide's sharpest patches: `sharpest_detail`.

    Returns:
        float32 [N], deviation of the Gaussian; 0 for the sharpest, NaN where the detail is.
    """
    steps = np.linspace(0, MAX_BLUR_UM, 1001)
    lost = sharpest - np.asarray(details, np.float64)
    # `expected` falls: turned over, it is what `interp` needs
    blur = np.interp(lost, -expected(steps, mpp), steps)
    return np.where(np.isnan(lost), np.nan, blur).astype(np.float32)


def sharpest_detail(details: Floats) -> float:
    """The detail of the slide's sharpest tenth, its median; NaN where no patch shows any."""
    seen = details[~np.isnan(details)]
    return float(np.quantile(seen, SHARPEST)) if len(seen) else float("nan")
