"""What is known of whole slides: labels of a grid, lesions, and the slide's class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.sheet import SlideEntry
from histocnn.metrics import froc
from histocnn.patches.grid import PatchGrid
from histocnn.regions.annotations import Annotations, read_annotations
from histocnn.scores.scorefile import ScoreFile


def annotations_of(file: ScoreFile, entry: SlideEntry) -> Annotations | None:
    """What was drawn on the slide, or None."""
    if entry.annotation_path is None:
        return None
    return read_annotations(entry.annotation_path, file.size_l0, file.attributes.get("bounds_l0"))


def label_patches(
    file: ScoreFile, entry: SlideEntry
) -> tuple[list[str], NDArray[np.int64], NDArray[np.float32]]:
    """Label a slide's patches as tile does by default, for scores of a grid tiled without truth.

    Returns:
        Class names, labels [N] into them (-1 unknown), coverage [N, C].

    Raises:
        StoreError: The file does not say its scale.
    """
    from histocnn.patches.labels import coverage, labels_of, touches

    boxes, drawn = file.boxes_l0(), annotations_of(file, entry)
    names = sorted({*(drawn.classes if drawn else ()), *filter(None, [entry.background])})
    if drawn is None:
        share = np.zeros((len(boxes), len(names)), np.float32)
        excluded = np.zeros(len(boxes), bool)
    else:
        share, excluded = coverage(drawn, boxes, names), touches(drawn.exclusion, boxes)
    labels = labels_of(share, names, excluded=excluded, background=entry.background)
    return names, labels, share


def lesions_of(file: ScoreFile, drawn: Annotations | None, target: str) -> froc.Lesions:
    """The lesions of a slide on a mask of about 7.8 µm/px; none without annotation."""
    from histocnn.regions.raster import rasterise, touched

    width, height = file.size_l0
    mpp_x, mpp_y = file.attributes["slide_mpp"]
    l0_per_px = (froc.MASK_MPP / mpp_x, froc.MASK_MPP / mpp_y)
    shape = (int(np.ceil(height / l0_per_px[1])), int(np.ceil(width / l0_per_px[0])))
    if drawn is None or target not in drawn.classes:
        return froc.Lesions(np.zeros(shape, np.int32), np.zeros(1, bool), l0_per_px)
    region = drawn.classes[target]
    return froc.lesions(
        rasterise(region, shape, l0_per_px), (froc.MASK_MPP, froc.MASK_MPP), l0_per_px,
        touched=touched(region, shape, l0_per_px),
    )  # fmt: skip


def cells_of(
    file: ScoreFile, grid: PatchGrid, scores: NDArray[np.float32]
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """One class's scores on the grid of cells [rows, cols], and a cell's (x, y) size in µm."""
    size_um = grid.stride_px * grid.mpp
    if not len(grid):
        return np.full(grid.shape, np.nan, np.float32), (size_um, size_um)
    return grid.raster(scores), (size_um, size_um)
