"""What CLAM and TRIDENT write and look for in HDF5 files of patches and features.

Both keep their attributes on the dataset `coords` (level-0 top left corners):
TRIDENT patch_size (at the target magnification), patch_size_level0, level0_magnification,
target_magnification, overlap, level0_width, level0_height, name
(mahmoodlab/TRIDENT, trident/IO.py);
CLAM patch_size and patch_level (pixels of that level), downsample, level_dim, name
(mahmoodlab/CLAM, wsi_core/WholeSlideImage.py). Their magnification is a bin, not a measurement:
what is derived from it here is nominal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

THEIRS = (
    *("patch_size", "patch_size_level0", "patch_level", "overlap", "name", "downsample"),
    *("level0_magnification", "target_magnification", "level0_width", "level0_height", "level_dim"),
)
UM_AT_1X = 10.0  # µm/px at magnification 1 by the field's convention: 0.5 µm/px is "20x"


def coords_attributes(attributes: Mapping[str, Any]) -> dict[str, int | str]:
    """Translate our attributes into their words, as far as they are known.

    Args:
        attributes: slide_id, size_l0, slide_mpp, patch_px, window_px, mpp, stride_px, as ours are.

    Returns:
        Whole numbers and the name, to be stored on `coords`; empty without patch_px.
    """
    patch_px, stride_px, mpp = (attributes.get(name) for name in ("patch_px", "stride_px", "mpp"))
    patch_px = attributes.get("window_px", patch_px)  # of dense files what `coords` begin
    if patch_px is None:
        return {}
    theirs: dict[str, int | str] = {"patch_size": int(patch_px), "patch_level": 0}
    if stride_px is not None:
        theirs["overlap"] = round(patch_px - stride_px)
    if (size_l0 := attributes.get("size_l0")) is not None:
        theirs["level0_width"], theirs["level0_height"] = (int(size) for size in size_l0)
    if (slide_mpp := attributes.get("slide_mpp")) is not None and mpp:
        slide_mpp_mean = float(np.mean(slide_mpp))
        theirs["patch_size_level0"] = round(patch_px * mpp / slide_mpp_mean)
        theirs["level0_magnification"] = max(1, round(UM_AT_1X / slide_mpp_mean))
        theirs["target_magnification"] = max(1, round(UM_AT_1X / mpp))
    if attributes.get("slide_id") is not None:
        theirs["name"] = str(attributes["slide_id"])
    return theirs


def attributes(theirs: Mapping[str, Any], stem: str) -> dict[str, Any]:
    """Translate their attributes into our words, as far as they say.

    Args:
        theirs: The attributes `THEIRS` of `coords`; empty where there are none.
        stem: The file's name without suffix: the slide's id where the file names none.

    Returns:
        slide_id; and where known patch_px, stride_px, size_l0, footprint_l0 (x, y), and, nominal
        because derived from a magnification, mpp and slide_mpp.
    """
    ours: dict[str, Any] = {"slide_id": str(theirs.get("name", stem.removesuffix("_patches")))}
    if "patch_size" not in theirs:
        return ours
    patch_px = ours["patch_px"] = int(theirs["patch_size"])
    if "overlap" in theirs:
        ours["stride_px"] = patch_px - int(theirs["overlap"])
    if "level0_width" in theirs:
        ours["size_l0"] = (int(theirs["level0_width"]), int(theirs["level0_height"]))
    elif "level_dim" in theirs and int(theirs.get("patch_level", 0)) == 0:
        ours["size_l0"] = tuple(int(size) for size in theirs["level_dim"])
    if "patch_size_level0" in theirs:
        ours["footprint_l0"] = (float(theirs["patch_size_level0"]),) * 2
    elif "downsample" in theirs:
        downsample = np.broadcast_to(theirs["downsample"], 2)
        ours["footprint_l0"] = tuple(float(patch_px * each) for each in downsample)
    if "target_magnification" in theirs:
        ours["mpp"] = UM_AT_1X / float(theirs["target_magnification"])
    if "level0_magnification" in theirs:
        ours["slide_mpp"] = (UM_AT_1X / float(theirs["level0_magnification"]),) * 2
    return ours


def drop_leading_axis(arrays: Mapping[str, Any]) -> dict[str, NDArray[Any] | list[str]]:
    """Make [1, N, ...] of features and coords [N, ...], as some of their files have it."""
    return {
        name: array[0] if name in ("features", "coords") and np.shape(array)[:-2] == (1,) else array
        for name, array in arrays.items()
    }
