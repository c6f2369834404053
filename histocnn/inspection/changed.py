"""Tissue as another laboratory, scanner or file might show it: stain, blur, compression, scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.models.augment import Pipeline
from histocnn.slides.stain import hed_jitter

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels], Pixels]  # uint8 [H, W, 3] → the same shape

STAIN = 0.3  # of each stain's amount
BLUR_PX = (1.0, 2.0)  # deviations of a Gaussian
QUALITY = (30, 10)  # of JPEG
SCALE = 0.2


def stained(haematoxylin: float, eosin: float) -> Change:
    """So many times the haematoxylin and the eosin of a patch; glass stays white."""
    alpha = np.array([haematoxylin, eosin, 1.0])
    return lambda pixels: hed_jitter(pixels, alpha, np.zeros(3))


def blurred(sigma_px: float) -> Change:
    """A Gaussian blur of this deviation, px."""
    return _step("GaussianBlur", sigma_limit=(sigma_px, sigma_px), blur_limit=0)


def compressed(quality: int) -> Change:
    """JPEG of this quality, 1 to 100; training's own exchanges red and blue, as no scanner does."""

    def change(pixels: Pixels) -> Pixels:
        written = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(written, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]

    return change


def scaled(factor: float) -> Change:
    """So many times as large about its centre; what is lacking at the edges is mirrored."""
    return _step("Affine", scale=(factor, factor), border_mode=cv2.BORDER_REFLECT_101)


def _step(name: str, **arguments: Any) -> Change:
    """One of training's augmentations, always and by the same amount."""
    given: Sequence[Mapping[str, Any]]
    given = [{"class_path": f"albumentations.{name}", "init_args": {**arguments, "p": 1.0}}]
    pipeline = Pipeline(given)
    return lambda pixels: pipeline(pixels, 0)


def changes() -> dict[str, Change]:
    """The changes that `histocnn fool` makes, each by what a page says of it."""
    more, less = 1 + STAIN, 1 - STAIN
    made = {
        f"stain: H +{100 * STAIN:.0f} %, E -{100 * STAIN:.0f} %": stained(more, less),
        f"stain: H -{100 * STAIN:.0f} %, E +{100 * STAIN:.0f} %": stained(less, more),
    }
    made |= {f"blur of {sigma:g} px": blurred(sigma) for sigma in BLUR_PX}
    made |= {f"JPEG of quality {quality}": compressed(quality) for quality in QUALITY}
    return made | {
        f"scale {100 * sign * SCALE:+.0f} %": scaled(1 + sign * SCALE) for sign in (-1, 1)
    }


def apply(change: Change, pixels: Pixels) -> Pixels:
    """Every patch of uint8 [N, H, W, 3], changed."""
    return np.stack([change(patch) for patch in pixels])
