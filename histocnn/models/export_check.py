"""Patches to check an exported network on."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import ModelError
from histocnn.models.adapting import draw
from histocnn.models.device import Engine
from histocnn.models.spec import ModelSpec
from histocnn.patches.patches import open_patches
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.slides.slide import Slide

COUNT = 16
SYNTHETIC = "of a synthetic slide"


def patches_to_check(
    spec: ModelSpec, patches: str | Path | None, slides: str | Path | None
) -> tuple[NDArray[np.uint8], str]:
    """Patches uint8 [N, P, P, 3], and what they are.

    Args:
        spec: Whose patches.
        patches: As the stages take them; None: synthetic ones.
        slides: Where the slides are now.

    Raises:
        ModelError: They are of another size or scale than the model's.
        PatchesError: None can be read.
    """
    if patches is None:
        return synthetic(int(spec.patch_px or 224), spec.mpp or 0.5), SYNTHETIC
    items = open_patches(Path(patches), slides=None if slides is None else Path(slides))
    engine = Engine("cpu", bf16=False, batch_size=COUNT, threads=1, workers=1)
    pixels = draw(items, spec, COUNT, engine, seed=0)
    if pixels.shape[1:3] != (spec.patch_px, spec.patch_px):
        raise ModelError(
            f"{patches}: patches of {pixels.shape[2]} × {pixels.shape[1]} px, and {spec.patch_px} "
            "px go in",
            "Give patches of that side.",
        )
    return pixels, f"of {Path(patches).name}"


def synthetic(patch_px: int, mpp: float) -> NDArray[np.uint8]:
    """Patches uint8 [16, P, P, 3] of a phantom at this scale, tissue and glass."""
    side = int(COUNT**0.5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "phantom.tif"
        px = max(256, side * patch_px)
        make_phantom(path, PhantomSpec(size_px=(px, px), mpp=mpp))
        slide = Slide(path)
        starts = [(col * patch_px, row * patch_px) for row in range(side) for col in range(side)]
        pixels = np.stack([slide.read(start, patch_px, mpp) for start in starts])
        slide.close()
    return pixels
