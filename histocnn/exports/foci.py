"""Patches and connected regions of high scores as shapes on the slide."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from histocnn.regions.raster import outline
from histocnn.scores.scored import ScoredSlide


def boxes_on_slide(slide: ScoredSlide) -> NDArray[np.float64]:
    """Extent of every patch, cut at the slide's edge: float64 [N, 4] as `PatchGrid.boxes_l0`."""
    return np.minimum(slide.grid.boxes_l0(), slide.grid.size_l0 * 2)


class Focus(NamedTuple):
    """Connected cells of one class at or above a threshold, and what was scored in them."""

    class_index: int
    polygon: BaseGeometry
    mean: float
    highest: float
    area_mm2: float


def foci(slide: ScoredSlide, class_index: int, threshold: float) -> list[Focus]:
    """Dissolve the cells whose score is at least `threshold` into polygons along the cells' edges.

    Cells are connected by their sides; no point of an outline lies on a straight line. In
    level-0 pixels, cut at the slide's edge.
    """
    from scipy import ndimage

    raster, areas = slide.raster()[..., class_index], slide.cell_areas_mm2()
    stride_x, stride_y = slide.grid.stride_l0
    numbers, _ = ndimage.label(raster >= threshold)  # NaN is not
    result = []
    for number, place in enumerate(ndimage.find_objects(numbers), start=1):
        inside = numbers[place] == number
        area = outline(inside, (stride_x, stride_y))
        start = place[1].start * stride_x, place[0].start * stride_y
        polygon = shapely.clip_by_rect(translate(area, *start), 0, 0, *slide.grid.size_l0)
        scores = raster[place][inside].astype(np.float64)
        result.append(
            Focus(
                class_index,
                polygon,
                float(scores.mean()),
                float(scores.max()),
                float(areas[place][inside].sum()),
            )
        )
    return result
