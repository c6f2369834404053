"""Detections of a slide: what `evaluate` judges and `export --to camelyon16` writes, alike."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from histocnn.metrics.detections import Detections, detections
from histocnn.patches.grid import PatchGrid

ROUNDING_L0 = 1e-6  # level-0 px: a middle on a pixel's edge, 2.5 × 198.8, may come out just below


def peaks(
    grid: PatchGrid, heat: NDArray[np.float32], *, radius_um: float, min_prob: float
) -> Detections:
    """Local maxima of a heatmap, at the middles of its cells: without overlap the patches'.

    Coordinates are whole, because the challenge's reader takes no others: the level-0 pixel that
    holds a cell's middle, or the slide's last one where a cell reaches over the edge and its middle
    lies beyond. Detections are made without looking at any annotation.

    Args:
        grid: Of the slide.
        heat: float32 [rows, cols], one class's scores as `grid.raster` lays them; NaN = none.
        radius_um: Of two maxima at most this far apart the more probable one counts.
        min_prob: Cells below it are no detections.

    Returns:
        Detections, xy_l0 int64 [D, 2], the most probable first.
    """
    rows, columns = np.nonzero(~np.isnan(heat))
    middles = (np.stack([columns, rows], axis=1) + 0.5) * grid.stride_l0
    maxima = detections(
        middles, heat[rows, columns], grid.slide_mpp, radius_um=radius_um, min_prob=min_prob
    )
    pixel = np.floor(maxima.xy_l0 + ROUNDING_L0).astype(np.int64)
    return maxima._replace(xy_l0=np.minimum(pixel, np.array(grid.size_l0) - 1))


def outside(points: Detections, exclusion: BaseGeometry | None) -> tuple[Detections, int]:
    """The detections that do not lie in what was excluded on the slide, and how many do.

    A detection in an `Exclusion` region, border included, is neither right nor wrong. It is left
    out after the maxima are found, so that they do not depend on the truth, and before they are
    matched or written: the published evaluation knows no exclusion.

    Args:
        points: Of one slide.
        exclusion: Polygons in level-0 pixels; None = nothing is excluded.
    """
    if exclusion is None or exclusion.is_empty:
        return points, 0
    inside = shapely.intersects_xy(exclusion, points.xy_l0)
    return Detections(points.prob[~inside], points.xy_l0[~inside]), int(inside.sum())
