"""A slide of known pixels and its grid, as tile would write it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from histocnn.patches.grid import build_grid
from histocnn.slides.slide import Slide
from histocnn.storage import store
from tests.slide_files import damage_tile, position_image, write_pyramid


def write_grid(
    folder: Path,
    slide_id: str = "s1",
    *,
    size: tuple[int, int] = (600, 400),
    patch_px: int = 28,
    mpp: float = 1.0,
    patient_id: str | None = None,
    class_names: tuple[str, ...] = ("a", "b"),
    damaged: bool = False,
    roll: int = 0,
) -> Path:
    """`folder/slides/<slide_id>.tiff` and `folder/grids/<slide_id>.h5`; labels go -1, 0, 1, -1 …

    The first tile of a damaged slide's level 1 (512 px of level 0 each way) cannot be decoded.
    `roll`: Its image, px to the right, for a slide that is not like the others.
    """
    (folder / "slides").mkdir(parents=True, exist_ok=True)
    path = folder / "slides" / f"{slide_id}.tiff"
    write_pyramid(path, np.roll(position_image(*size), roll, axis=1))
    if damaged:
        damage_tile(path, level=1, col=0, row=0)
    slide = Slide(path)
    grid = build_grid(slide.size_l0, slide.require_mpp(), patch_px=patch_px, mpp=mpp, min_tissue=0)
    attributes = {
        **grid.attributes(),
        "slide_id": slide_id,
        "patient_id": patient_id,
        "slide_path": str(slide.path),
        "fingerprint": slide.fingerprint,
        "labels.class_names": list(class_names),
        "recipe": {"stage": "tile", "slide": slide.fingerprint},
    }
    labels = np.arange(len(grid)) % 3 - 1
    file = folder / "grids" / f"{slide_id}.h5"
    store.write(file, {"coords": grid.coords, "cell": grid.cell, "labels": labels}, attributes)
    return file
