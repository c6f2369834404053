"""The images that are looked at: files, and some patches of a cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from histocnn.errors import ModelError, PatchesError
from histocnn.inspection.exciting import spread, where
from histocnn.inspection.opening import Subject
from histocnn.models.suitable import SAME_SCALE
from histocnn.patches.images import read_image
from histocnn.patches.patches import Patches

MOST = 8  # patches that fields are averaged over


@dataclass(frozen=True, eq=False)
class Shown:
    """One image as the network gets it.

    Attributes:
        name: As a page calls it.
        pixels: uint8 [H, W, 3], square.
        tensor: float [1, 3, input_px, input_px].
        facts: Slide, place or file.
    """

    name: str
    pixels: NDArray[np.uint8]
    tensor: Tensor
    facts: Mapping[str, object] = field(default_factory=dict)


def from_file(subject: Subject, path: Path, mpp: float | None = None) -> tuple[Shown, list[str]]:
    """An image file, grey or not, made square; and what was done to it.

    Of an image that is not square the middle is taken, of one larger than the model's patches the
    middle of their size: nothing is stretched, and the scale stays.

    Args:
        subject: The network.
        path: The file.
        mpp: Its µm/px, where somebody said it.

    Raises:
        PatchesError: It is no image.
        ModelError: It is of another scale than the model was trained on, or smaller than its
            patches.
    """
    spec, notes = subject.spec, list[str]()
    if mpp is not None and spec.mpp is not None and abs(mpp / spec.mpp - 1) > SAME_SCALE:
        raise ModelError(
            f"{path}: {mpp} µm/px, and the model was trained on {spec.mpp} µm/px",
            "Give an image at that scale, or use another model.",
        )
    pixels = read_image(path)
    height, width = pixels.shape[:2]
    side = min(height, width)
    if spec.patch_px is not None and side < spec.patch_px:
        raise ModelError(
            f"{path}: {width} × {height} px, and the model was trained on {spec.patch_px} px",
            "Give an image at least as large: enlarging it would change its scale.",
        )
    side = min(side, spec.patch_px or side)
    if (height, width) != (side, side):
        notes.append(f"{path.name}: of its {width} × {height} px the {side} in the middle")
        top, left = (height - side) // 2, (width - side) // 2
        pixels = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    return Shown(path.stem, pixels, subject.alone(pixels), {"path": path.name}), notes


def from_cohort(subject: Subject, cohort: Sequence[Patches], most: int = MOST) -> list[Shown]:
    """Patches that can be read, evenly over the cohort, at most so many.

    Raises:
        ModelError: They are of another size or scale than the model was trained on.
        PatchesError: None can be read.
    """
    found = []
    for patches, rows in zip(cohort, spread(cohort, most), strict=True):
        if not rows:
            continue
        ready = subject.prepare(patches)
        for batch in patches.batches(len(rows), 1, rows):
            for row, pixels, readable in zip(batch.rows, batch.pixels, batch.readable, strict=True):
                if readable:
                    facts = where(patches, int(row))
                    found.append(Shown(_name(facts), pixels, ready(pixels[None]), facts))
    if not found:
        raise PatchesError("none of the patches can be read", "Check that the slides are whole.")
    return found


def _name(facts: Mapping[str, object]) -> str:
    if "x_l0" in facts:
        return f"{facts['slide_id']} at {facts['x_l0']}, {facts['y_l0']}"
    return str(facts.get("path", facts["row"]))
