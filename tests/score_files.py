"""Score files written on the spot, as predict and knn write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.patches.grid import PatchGrid, build_grid
from histocnn.slides.slide import Slide
from histocnn.storage import store

CLASSES = ("normal", "tumour")


def random_scores(count: int, classes: int = 2, seed: int = 0) -> NDArray[np.float32]:
    """Rows that sum to 1."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(classes), count).astype(np.float32)


def write_scores(
    path: Path,
    slide: Slide,
    grid: PatchGrid,
    scores: NDArray[np.float32],
    *,
    class_names: Sequence[str] = CLASSES,
    attributes: Mapping[str, Any] | None = None,
    **datasets: Any,
) -> Path:
    """A file of scores [N, C] over the patches of a grid; `datasets` (novelty …) beside them."""
    store.write(
        path,
        {
            "coords": grid.coords,
            "cell": grid.cell,
            "tissue_fraction": grid.tissue_fraction,
            "scores": scores,
            **datasets,
        },
        {
            **grid.attributes(),
            "slide_id": path.stem,
            "slide_path": str(slide.path),
            "fingerprint": slide.fingerprint,
            "bounds_l0": slide.bounds_l0,
            "scores.class_names": list(class_names),
            **(attributes or {}),
        },
    )
    return path


def copy_as(slide_id: str, source: Path, folder: Path) -> Path:
    """The same scores, of a slide of another name."""
    target = folder / f"{slide_id}.h5"
    store.write(target, store.read(source), {**store.attributes(source), "slide_id": slide_id})
    return target


def grid_of(slide: Slide, patch_px: int, mpp: float, overlap_px: int = 0) -> PatchGrid:
    """All patches of a slide."""
    return build_grid(
        slide.size_l0, slide.require_mpp(), patch_px=patch_px, mpp=mpp, overlap_px=overlap_px
    )
