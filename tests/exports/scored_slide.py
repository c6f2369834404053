"""Six patches of 100 px at 1 µm/px on a slide of 0.5 µm/px, scored as the test says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from histocnn.patches.grid import build_grid
from histocnn.scores.scored import ScoredSlide

CLASSES = ("normal", "tumour")


def scored_slide(
    tumour: Sequence[float],
    *,
    size_l0: tuple[int, int] = (560, 400),
    novelty: Sequence[float] | None = None,
    bounds_l0: tuple[int, int, int, int] | None = None,
) -> ScoredSlide:
    """Two rows of three patches; the last column reaches 40 px over the slide's edge."""
    grid = build_grid(size_l0, (0.5, 0.5), patch_px=100, mpp=1.0)
    scores = np.array([[1 - p, p] for p in tumour], np.float32)
    percentiles = None if novelty is None else np.array(novelty, np.float32)
    return ScoredSlide("s1", grid, scores, CLASSES, percentiles, bounds_l0)
