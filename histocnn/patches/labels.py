"""From annotated regions to the coverage and the labels of patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from histocnn.regions.annotations import Annotations

if TYPE_CHECKING:
    from histocnn.regions.tissue import TissueMask

Boxes: TypeAlias = NDArray[np.float64]
Floats: TypeAlias = NDArray[np.float32]
Bools: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.int64]

_MAX_LATTICE = 1 << 24  # cells; boxes of no grid have edges of their own each
_MAX_POINTS = 64  # of a piece; a polygon of 10,000 corners is not intersected with 10,000 boxes


def coverage(annotations: Annotations, boxes_l0: Boxes, class_names: Sequence[str]) -> Floats:
    """Share of each box that each class covers, exact.

    Args:
        annotations: The regions.
        boxes_l0: float64 [N, 4], minx, miny, maxx, maxy in level-0 pixels, of positive area.
        class_names: Classes in the order of the result; one that is not drawn covers nothing.

    Returns:
        float32 [N, C], 0 to 1; rows add up to more than 1 where classes overlap.
    """
    boxes = _boxes(boxes_l0)
    result = np.zeros((len(boxes), len(class_names)), np.float32)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for column, name in enumerate(class_names):
        if name in annotations.classes:
            covered = covered_area(annotations.classes[name], boxes)
            result[:, column] = np.clip(covered / area, 0, 1)
    return result


def touches(geometry: BaseGeometry, boxes_l0: Boxes) -> Bools:
    """Which boxes share area with a geometry; a common border alone does not count.

    Args:
        geometry: Polygons in level-0 pixels.
        boxes_l0: float64 [N, 4], minx, miny, maxx, maxy in level-0 pixels.

    Returns:
        bool [N].
    """
    return covered_area(geometry, boxes_l0) > 0


def covered_area(geometry: BaseGeometry, boxes_l0: Boxes) -> NDArray[np.float64]:
    """Area of a polygonal geometry within each box, in square level-0 pixels; float64 [N]."""
    boxes = _boxes(boxes_l0)
    total = np.zeros(len(boxes))
    pieces = np.array(_pieces(geometry), dtype=object)
    if not len(pieces) or not len(boxes):
        return total
    shapes = np.asarray(shapely.box(*boxes.T), dtype=object)
    # The tree holds the boxes, which are many, and is asked once per piece, which are few.
    piece, box = shapely.STRtree(shapes).query(pieces)
    left, top, right, bottom = shapely.bounds(pieces)[piece].T
    around = boxes[box]
    whole = (around[:, 0] <= left) & (around[:, 1] <= top)
    whole &= (right <= around[:, 2]) & (bottom <= around[:, 3])
    area = shapely.area(pieces)[piece]
    rest = ~whole
    area[rest] = shapely.area(shapely.intersection(pieces[piece[rest]], shapes[box[rest]]))
    np.add.at(total, box, area)
    return total


def labels_of(
    coverage: Floats,
    class_names: Sequence[str],
    *,
    excluded: Bools,
    background: str | None,
    label_coverage: float = 0.5,
    max_background_coverage: float = 0.0,
) -> Ints:
    """Labels from coverage, as indices into `class_names`; -1 is unknown.

    The class of largest coverage if that is at least `label_coverage`, ties by class name; the
    background class if all classes together cover at most `max_background_coverage`; otherwise,
    and for excluded patches, unknown.

    Args:
        coverage: float32 [N, C].
        class_names: The C names; `background` is among them.
        excluded: bool [N], patches that touch an exclusion region.
        background: Class of what no polygon covers; None if that is unknown.
        label_coverage: Least share of a patch that names it.
        max_background_coverage: Largest share of other classes in a background patch.

    Returns:
        int64 [N].
    """
    labels = np.full(len(coverage), -1, np.int64)
    if background is not None:
        bare = coverage.sum(axis=1) <= max_background_coverage
        labels[bare] = list(class_names).index(background)
    if len(class_names):
        by_name = np.argsort(np.array(class_names), kind="stable")
        largest = by_name[np.argmax(coverage[:, by_name], axis=1)]
        most = coverage.max(axis=1)
        named = (most >= label_coverage) & (most > 0)
        labels[named] = largest[named]
    labels[excluded] = -1
    return labels


def area_report(
    annotations: Annotations,
    tissue: TissueMask | None,
    boxes_l0: Boxes,
    slide_mpp: tuple[float, float],
) -> dict[str, dict[str, float]]:
    """Annotated area per class, and how much of it is in tissue and in patches.

    Args:
        annotations: The regions.
        tissue: The slide's tissue; None if it is not known, and `in_tissue_um2` is left out.
        boxes_l0: float64 [N, 4], the kept patches of one grid; overlaps count once.
        slide_mpp: µm/px of level 0, x and y.

    Returns:
        Class name to `annotated_um2`, `in_tissue_um2`, `in_patches_um2`.
    """
    pixel_um2 = slide_mpp[0] * slide_mpp[1]
    boxes = _boxes(boxes_l0)
    report = {
        name: {
            "annotated_um2": area.area * pixel_um2,
            "in_patches_um2": _area_in_any(area, boxes) * pixel_um2,
        }
        for name, area in annotations.classes.items()
    }
    if tissue is not None:
        tissue_l0 = tissue.polygons()
        for name, area in annotations.classes.items():
            inside = area.intersection(tissue_l0)
            report[name]["in_tissue_um2"] = inside.area * pixel_um2
    return report


def _boxes(boxes_l0: Boxes) -> Boxes:
    return np.asarray(boxes_l0, np.float64).reshape(-1, 4)


def _pieces(geometry: BaseGeometry) -> list[BaseGeometry]:
    """The geometry in disjoint polygons of few points, by halving the longer side."""
    small: list[BaseGeometry] = []
    waiting = [part for part in shapely.get_parts(geometry) if part.area > 0]
    while waiting:
        part = waiting.pop()
        left, top, right, bottom = part.bounds
        if shapely.get_num_coordinates(part) <= _MAX_POINTS:
            small.append(part)
            continue
        if right - left >= bottom - top:
            middle = (left + right) / 2
            halves = (left, top, middle, bottom), (middle, top, right, bottom)
        else:
            middle = (top + bottom) / 2
            halves = (left, top, right, middle), (left, middle, right, bottom)
        cuts = [part.intersection(shapely.box(*half)) for half in halves]
        waiting += [piece for cut in cuts for piece in shapely.get_parts(cut) if piece.area > 0]
    return small


def _area_in_any(geometry: BaseGeometry, boxes: Boxes) -> float:
    """Area of a geometry that lies in at least one box, in square level-0 pixels."""
    if len(np.unique(boxes[:, ::2])) * len(np.unique(boxes[:, 1::2])) <= _MAX_LATTICE:
        return float(covered_area(geometry, _without_overlap(boxes)).sum())
    near = boxes[covered_area(geometry, boxes) > 0]
    union = shapely.union_all(np.asarray(shapely.box(*near.T), dtype=object))
    return float(geometry.intersection(union).area)


def _without_overlap(boxes: Boxes) -> Boxes:
    """Disjoint boxes that cover what the boxes of a grid cover together.

    Their edges make a lattice, on which each box is a rectangle of cells: counted by differences,
    every run of covered cells in a row is one box.
    """
    xs, ys = np.unique(boxes[:, ::2]), np.unique(boxes[:, 1::2])
    x0, x1 = np.searchsorted(xs, boxes[:, 0]), np.searchsorted(xs, boxes[:, 2])
    y0, y1 = np.searchsorted(ys, boxes[:, 1]), np.searchsorted(ys, boxes[:, 3])
    steps = np.zeros((len(ys), len(xs) + 1), np.int32)
    for row, col, sign in ((y0, x0, 1), (y1, x1, 1), (y0, x1, -1), (y1, x0, -1)):
        np.add.at(steps, (row, col), sign)
    covered = steps.cumsum(axis=0).cumsum(axis=1) > 0
    change = np.diff(covered.astype(np.int8), axis=1, prepend=0)
    row, first = np.nonzero(change == 1)
    _, last = np.nonzero(change == -1)
    return np.stack([xs[first], ys[row], xs[last], ys[row + 1]], axis=1)
