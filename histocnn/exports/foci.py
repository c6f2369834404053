"""Patches and connected regions of high scores as shapes on the slide."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from histocnn.regions.field import AT, middles
from histocnn.scores.scored import ScoredSlide


def boxes_on_slide(slide: ScoredSlide) -> NDArray[np.float64]:
    """Extent of every patch, cut at the slide's edge: float64 [N, 4] as `PatchGrid.boxes_l0`.

    Windows of a dense grid, dozens of which lie over one another, are shown as squares of one
    stride around their centres.
    """
    grid = slide.grid
    boxes = grid.boxes_l0()
    if grid.window:
        stride, px_l0 = np.array(grid.stride_l0), np.array(grid.stride_l0) / grid.stride_px
        start = boxes[:, :2] + (grid.window.centre_px - grid.window.offset_px) * px_l0 - stride / 2
        boxes = np.hstack([start, start + stride])
    return np.clip(boxes, 0, grid.size_l0 * 2)


class Focus(NamedTuple):
    """A connected region of one class at or above a threshold, and what was scored in it."""

    class_index: int
    polygon: BaseGeometry
    mean: float
    highest: float
    area_mm2: float


def foci(slide: ScoredSlide, class_index: int, threshold: float) -> list[Focus]:
    """The regions whose score is at least `threshold`, as `ScoredSlide.areas_at` outlines them.

    `mean` and `highest` are of the cells whose middle, of what lies on the slide, is in the region.
    In level-0 pixels.
    """
    raster, stride_l0 = slide.raster()[..., class_index], slide.grid.stride_l0
    mm2 = float(np.prod(slide.grid.slide_mpp)) / 1e6  # of a level-0 pixel
    result = []
    for polygon in slide.areas_at(class_index, threshold):
        left, top, right, bottom = np.array(polygon.bounds) / np.tile(stride_l0, 2)
        part = raster[int(top) : int(bottom) + 1, int(left) : int(right) + 1]
        row, column = np.nonzero(part >= threshold)
        row, column = row + int(top), column + int(left)
        centres = middles(row, column, stride_l0, slide.grid.size_l0)
        shapely.prepare(polygon)
        inside = shapely.dwithin(polygon, centres, AT * min(stride_l0))
        scores = raster[row[inside], column[inside]]
        result.append(
            Focus(
                class_index,
                polygon,
                float(scores.mean(dtype=np.float64)),
                float(scores.max()),
                polygon.area * mm2,
            )
        )
    return result
