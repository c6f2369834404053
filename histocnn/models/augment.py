"""What training does to a patch before the network sees it: albumentations pipelines by name.

albumentations is frozen at 2.0.8, the last of its line under MIT. The day it breaks, this module
alone changes, to torchvision.transforms.v2: D4 is RandomHorizontalFlip and a quarter turn of
RandomRotation, Affine is RandomAffine (on a patch padded by reflection, which it lacks),
RandomBrightnessContrast is adjust_brightness and a shift (ColorJitter's contrast pivots on the
mean, ours on black), GaussianBlur is GaussianBlur, ImageCompression is JPEG with red and blue
exchanged (or cv2.imencode, once torchvision's is gone), and StainJitter is ours.
tests/models/test_augment.py holds where both agree.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it would call the network

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.models.custom import construct, step
from histocnn.models.refusals import check_preset
from histocnn.slides.stain import draw_hed_jitter, hed_jitter

Pixels = NDArray[np.uint8]
Step = Mapping[str, Any]

ALLOWED = ("albumentations", "histocnn")  # a config must not run any other code
WHITE = 255


class StainJitter(A.ImageOnlyTransform):  # type: ignore[misc]
    """Jitter of haematoxylin, eosin and DAB: see `slides.stain.hed_jitter`.

    Args:
        sigma: Half the range of the factor, and of the offset in the stain's deviations.
        p: Probability.
    """

    class InitSchema(A.ImageOnlyTransform.InitSchema):  # type: ignore[misc]
        """What albumentations checks the arguments against."""

        sigma: float

    def __init__(self, sigma: float = 0.05, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.sigma = sigma

    def get_params(self) -> dict[str, Any]:
        """Draw from the pipeline's own generator."""
        alpha, beta = draw_hed_jitter(self.random_generator, self.sigma)
        return {"alpha": alpha, "beta": beta}

    def apply(
        self, img: Pixels, alpha: NDArray[np.float64], beta: NDArray[np.float64], **params: Any
    ) -> Pixels:
        """The patch in other stains."""
        return hed_jitter(img, alpha, beta)


def _light() -> list[A.BasicTransform]:
    """Tissue has no up: flips, quarter turns, and a shift of a sixteenth."""
    shift = {"x": (-1 / 16, 1 / 16), "y": (-1 / 16, 1 / 16)}
    return [
        A.D4(p=1),
        A.Affine(translate_percent=shift, border_mode=cv2.BORDER_REFLECT_101, p=0.5),
    ]


def _histology() -> list[A.BasicTransform]:
    """What differs between scanners and laboratories, too: stain, light, focus, compression."""
    return [
        A.D4(p=1),
        A.Affine(
            scale=(0.85, 1.15),
            rotate=(-10, 10),
            translate_percent={"x": (-1 / 16, 1 / 16), "y": (-1 / 16, 1 / 16)},
            border_mode=cv2.BORDER_REFLECT_101,
            p=0.5,
        ),
        StainJitter(p=1),
        A.RandomBrightnessContrast(brightness_limit=0.1, contrast_limit=0.1, p=0.5),
        A.GaussianBlur(blur_limit=(3, 3), p=0.1),
        A.ImageCompression(quality_range=(60, 95), p=0.2),
    ]


PRESETS = {"none": list, "light": _light, "histology": _histology}


class Pipeline:
    """Augmentation as a pure function of pixels and seed.

    Args:
        steps: A preset's name (`none`, `light`, `histology`), or steps as
            `{class_path: albumentations.Blur, init_args: {p: 0.1}}`, nested in OneOf and the like.

    Raises:
        UsageError: No such preset or class, or arguments that the class refuses.
    """

    def __init__(self, steps: str | Sequence[Step]) -> None:
        if isinstance(steps, str):
            check_preset(steps)
            transforms = PRESETS[steps]()
        else:
            transforms = [_instance(given) for given in steps]
        self._compose = A.Compose(transforms) if transforms else None

    def __call__(self, pixels: Pixels, seed: int) -> Pixels:
        """The patch uint8 [H, W, 3], changed as this seed says; its size stays the pipeline's."""
        if self._compose is None:
            return pixels
        self._compose.set_random_seed(seed)
        return np.ascontiguousarray(self._compose(image=pixels)["image"])


def _instance(given: Step) -> A.BasicTransform:
    path, arguments = step("augment:", given)
    return construct("augment:", path, (A.BasicTransform, A.BaseCompose), arguments, ALLOWED)
