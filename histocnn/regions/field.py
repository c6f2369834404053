"""Values on a lattice of cells as a continuous field: sampled anywhere, cut at a level.

Between the centres of cells the field is bilinear. A cell without a value (NaN) has none of it, but
the field covers the whole of every other cell: beyond the outermost centres it stays as it is, or
goes on towards the mean of the cells on the other side.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeAlias

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from histocnn.regions.raster import outline

Floats: TypeAlias = NDArray[np.float32]
Pair: TypeAlias = tuple[float, float]

_STRAIGHT = 1e-3  # of a cell: points that lie less beside a straight line are left out
AT = 2 * _STRAIGHT  # of a cell: what lies so near to a line is on it
_BESIDE = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float64)
_AT_CORNERS = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 1]], np.float64)


def sample(values: Floats, stride: Pair, size: Pair, size_px: tuple[int, int]) -> Floats:
    """The field at the centres of a picture's pixels; anything in cells without a value.

    Args:
        values: float32 [rows, cols]; cell (0, 0) begins at (0, 0).
        stride: Width and height of a cell.
        size: Width and height of what the lattice covers and the picture shows.
        size_px: Width and height of the picture.

    Returns:
        float32 [h, w].

    >>> sample(np.array([[0.0, 1.0]], np.float32), (10, 10), (20, 10), (4, 1)).tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    """
    scale = [step * px / side for step, px, side in zip(stride, size_px, size, strict=True)]
    within = extended(values)[1:-1, 1:-1]  # beyond them OpenCV, too, has the outermost again
    field = np.asarray(cv2.resize(within, None, fx=scale[0], fy=scale[1]), np.float32)
    return field[: size_px[1], : size_px[0]]


def under(values: NDArray[Any], stride: Pair, size: Pair, size_px: tuple[int, int]) -> NDArray[Any]:
    """The values [rows, cols] of the cells in which the centres of a picture's pixels lie, [h, w].

    Args: as `sample`.
    """
    col, row = (
        np.minimum((np.arange(px) + 0.5) * side / px / step, cells - 1).astype(np.intp)
        for px, side, step, cells in zip(size_px, size, stride, values.shape[::-1], strict=True)
    )
    return np.asarray(values[:, col][row])


def level_set(values: Floats, level: float, stride: Pair, size: Pair) -> list[shapely.Polygon]:
    """Where the field is at least `level`, as polygons with their holes.

    Lines run straight between the points where the field crosses the level on its way from one
    cell's centre to the next (marching squares), or along the edges of cells without a value.

    Args:
        values: float32 [rows, cols].
        level: Of the values.
        stride: Width and height of a cell.
        size: Width and height of what the lattice lies on; polygons are cut there.

    Returns:
        Polygons in the frame of `stride` and `size`, each with the middle of a high cell in it.
    """
    known = _known(values)
    high = known & (values >= level)
    if not high.any():
        return []
    rows, cols = np.nonzero(high)
    # Two cells around what is high are enough, and a lesion is small beside its slide.
    top, left = max(rows.min() - 2, 0), max(cols.min() - 2, 0)
    part = values[top : rows.max() + 3, left : cols.max() + 3]
    area = shapely.union_all(_marched(extended(part), level))
    seen = known[top : rows.max() + 3, left : cols.max() + 3]
    if not seen.all():
        area = area.intersection(outline(seen))
    area = shapely.simplify(area, _STRAIGHT)
    start = np.array([left, top])
    area = shapely.transform(area, lambda points: (points + start) * stride)
    area = shapely.clip_by_rect(area, 0, 0, *size)
    centres = middles(rows, cols, stride, size)
    pieces = [each for each in shapely.get_parts(area) if each.geom_type == "Polygon"]
    tree, near = shapely.STRtree(centres), AT * min(stride)
    held, _ = tree.query(np.array(pieces, object), predicate="dwithin", distance=near)
    return [pieces[number] for number in np.unique(held).tolist()]


def extended(values: Floats) -> Floats:
    """The values with a cell more on each side, as the outermost.

    Cells without one have the mean of those beside; where none is beside, of those at the corners;
    cells that have none around are 0.
    """
    known = _known(values)
    flat = np.where(known[..., None], values.reshape(*known.shape, -1), 0)
    filled, missing = flat.astype(np.float64), ~known
    for near in (_BESIDE, _AT_CORNERS):
        count = _summed(known, near)
        chosen = missing & (count > 0)
        for column in range(flat.shape[2]):
            filled[chosen, column] = (_summed(flat[..., column], near)[chosen]) / count[chosen]
        missing &= ~chosen
    more = [(1, 1), (1, 1), *[(0, 0)] * (values.ndim - 2)]
    return np.pad(filled.astype(np.float32).reshape(values.shape), more, mode="edge")


def middles(
    rows: NDArray[np.integer], cols: NDArray[np.integer], stride: Pair, size: Pair
) -> NDArray[np.object_]:
    """Points [N] in the middle of what of each cell lies on the lattice's ground of this size."""
    places = [
        (at * step + np.minimum((at + 1) * step, end)) / 2
        for at, step, end in zip((cols, rows), stride, size, strict=True)
    ]
    return np.asarray(shapely.points(*places), dtype=object)


def _marched(values: Floats, level: float) -> list[BaseGeometry]:
    """Marching squares over a lattice that has one cell more on each side, in units of cells."""
    from contourpy import FillType, contour_generator

    at_x, at_y = (np.arange(side) - 0.5 for side in values.shape[::-1])
    lines = contour_generator(at_x, at_y, values, fill_type=FillType.OuterOffset)
    polygons = []
    # Above every value: the level itself belongs to the area, as a threshold's score does.
    for points, offsets in zip(*lines.filled(np.nextafter(level, -np.inf), np.inf), strict=True):
        rings = [points[first:last] for first, last in pairwise(offsets)]
        polygons.append(shapely.make_valid(shapely.Polygon(rings[0], rings[1:])))
    return polygons


def _known(values: Floats) -> NDArray[np.bool_]:
    """Which cells have a value, bool [rows, cols]."""
    return np.asarray(~np.isnan(values.reshape(*values.shape[:2], -1)).any(axis=2))


def _summed(values: NDArray[Any], near: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over the cells around each that `near` [3, 3] marks."""
    exact = values.astype(np.float64)
    return np.asarray(cv2.filter2D(exact, -1, near, borderType=cv2.BORDER_CONSTANT))
