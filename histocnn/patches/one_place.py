"""One patch around a point of a slide, at the scale of patches that were cut elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from histocnn.errors import UsageError
from histocnn.patches.grid import MAX_UPSAMPLING, check_patch_options
from histocnn.patches.gridpixels import GridPixels
from histocnn.patches.patch_set import Datasets, Patches
from histocnn.slides.slide import Slide


class OnePlace(Patches):
    """The patch whose middle is a point of a slide.

    Args:
        slide: The slide.
        at_l0: (x, y) of its middle, level-0 px.
        patch_px: Its side, px at `mpp`.
        mpp: Its µm/px.
        slide_id: The slide's name.
        patient_id: Whose it is; "" unknown.
        stains: The slide's, as a grid holds them; None: the patch's own.

    Raises:
        UsageError: The point is not on the slide, or the slide is coarser than the patch is to be.
        ResolutionError: The slide's µm/px are not known.
    """

    def __init__(
        self,
        slide: Slide,
        at_l0: tuple[float, float],
        patch_px: int,
        mpp: float,
        *,
        slide_id: str,
        patient_id: str = "",
        stains: Mapping[str, Any] | None = None,
    ) -> None:
        check_patch_options(patch_px=patch_px, mpp=mpp)
        own = slide.require_mpp()
        if not all(0 <= value < size for value, size in zip(at_l0, slide.size_l0, strict=True)):
            width, height = slide.size_l0
            raise UsageError(
                f"--at {at_l0[0]:g},{at_l0[1]:g} is not on {slide.path.name}",
                f"Give x from 0 to {width - 1} and y from 0 to {height - 1}, level-0 pixels.",
            )
        if max(own) > MAX_UPSAMPLING * mpp:
            raise UsageError(
                f"{slide.path}: {max(own):.4g} µm/px, coarser than the reference's {mpp:.4g}",
                "Compare slides of its scale or finer.",
            )
        footprint_l0 = patch_px * mpp / np.array(own)
        self._corner_l0 = np.rint(np.array(at_l0) - footprint_l0 / 2).astype(np.int64)
        self._slide = slide
        self._said = {
            "slide_id": slide_id,
            "patient_id": patient_id or None,
            "slide_path": str(slide.path),
            "fingerprint": slide.fingerprint,
            "size_l0": slide.size_l0,
            "slide_mpp": own,
            "patch_px": patch_px,
            "mpp": mpp,
            "stride_px": patch_px,
            "stains": stains,
        }

    @property
    def name(self) -> str:
        """The slide's id."""
        return str(self._said["slide_id"])

    @cached_property
    def datasets(self) -> Datasets:
        """The one corner."""
        return {"coords": self._corner_l0[None]}

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """As a grid of this patch alone would have them."""
        return dict(self._said)

    @cached_property
    def pixels(self) -> GridPixels:
        """The slide."""
        coords = self.datasets["coords"]
        return GridPixels(self._slide.path, self.attributes, coords, self._slide.path)
