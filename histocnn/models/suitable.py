"""Whether patches suit a network, and the stain normalisation that it was trained with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import ModelError
from histocnn.models.spec import ModelSpec
from histocnn.patches.patches import Patches
from histocnn.slides.stain import Normaliser, Stains

SAME_SCALE = 0.01  # relative difference of µm/px that rounding explains


@dataclass(frozen=True)
class OfSlide:
    """Stain normalisation of one slide's patches."""

    normalise: Normaliser
    stains: Stains | None

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The patch uint8 [H, W, 3], normalised."""
        return self.normalise(pixels, self.stains)


def normaliser(spec: ModelSpec, patches: Patches) -> OfSlide | None:
    """The spec's stain normalisation for these patches; None where it has none.

    A slide is normalised by its own stains (as tile stored them, else from some of its patches),
    an image file by those of its pixels.
    """
    if spec.stain is None:
        return None
    normalise = Normaliser.from_dict(spec.stain)
    normalise.per_patch = normalise.per_patch or patches.coords is None
    stains = None if normalise.per_patch else patches.stains()
    return OfSlide(normalise, stains)


def checked(patches: Patches, spec: ModelSpec) -> None:
    """Refuse patches of another size or scale than the network was trained on.

    Raises:
        ModelError: With both values and what to do.
    """
    px_differs = None not in (spec.patch_px, patches.patch_px)
    px_differs = px_differs and spec.patch_px != patches.patch_px
    mpp_differs = spec.mpp is not None and patches.mpp is not None
    mpp_differs = mpp_differs and abs((spec.mpp or 1) / (patches.mpp or 1) - 1) > SAME_SCALE
    if px_differs or mpp_differs:
        raise ModelError(
            f"{patches.name}: patches of {_scale(patches.patch_px, patches.mpp)}, and the model "
            f"was trained on {_scale(spec.patch_px, spec.mpp)}",
            f"Tile with {_flags(spec)}, or use another model.",
        )


def _scale(patch_px: int | None, mpp: float | None) -> str:
    parts = [f"{patch_px} px"] * (patch_px is not None) + [f"{mpp} µm/px"] * (mpp is not None)
    return " at ".join(parts) or "unknown scale"


def _flags(spec: ModelSpec) -> str:
    """What tile must be told; nothing of what the model does not know."""
    said = {"patch_px": spec.patch_px, "mpp": spec.mpp}
    return " ".join(f"--{name} {value}" for name, value in said.items() if value is not None)
