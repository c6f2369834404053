"""The picture to look at after tiling: the slide, its tissue, its patches by label, as outlines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from histocnn.pictures.overlay import canvas
from histocnn.pictures.palette import class_colours
from histocnn.pictures.sheet import Entry, write_sheet
from histocnn.pictures.strokes import draw_outline
from histocnn.regions.raster import outline

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from histocnn.patches.grid import PatchGrid
    from histocnn.patches.truth import PatchTruth

_UNLABELLED = np.array([90, 90, 90], dtype=np.uint8)
_INK = (20, 20, 20)
_FLAWS = ((120, 60, 160), (0, 110, 200), (150, 75, 0), (90, 90, 90))  # as `quality.FLAWS` has them
_LEAST_PX = 12  # patches smaller than this in the picture are not drawn one by one
_EDGE_OPACITY = 0.3


def tile_overview(
    thumbnail: NDArray[np.uint8],
    grid: PatchGrid,
    labels: PatchTruth,
    path: Path,
    *,
    tissue: BaseGeometry | None,
    annotations: Mapping[str, BaseGeometry],
    title: str,
    flaws: Mapping[str, NDArray[np.bool_]] | None = None,
) -> None:
    """Write the picture: what is inside an outline stays as the slide has it.

    Args:
        thumbnail: The whole of level 0, uint8 [h, w, 3]; `overlay.PICTURE_PX` is a good size.
        grid: The patches.
        labels: Their labels.
        path: The PNG to write.
        tissue: Its outline in level-0 pixels.
        annotations: Class → what was drawn, in level-0 pixels.
        title: Above the picture.
        flaws: By name, which patches have it, as `patches.quality.flaws` finds them.
    """
    picture = canvas(thumbnail, grid.size_l0, grid.slide_mpp)
    names = list(dict.fromkeys([*labels.names, *annotations]))
    colours = dict(zip(names, class_colours(names), strict=True))
    # Index -1 is the last colour: that of a patch without a label.
    table = np.array([*(colours[name] for name in labels.names), _UNLABELLED], np.uint8)
    _draw_edges(picture, grid, table[labels.index])
    legend = []
    for index, name in [(-1, ""), *enumerate(labels.names)]:
        area = regions(grid, labels.index == index)
        draw_outline(picture, area, grid.size_l0, colour=table[index], halo=False)
        said = name or ("no label" if labels.names else "patches")
        count = int((labels.index == index).sum())
        legend.append(Entry(f"{said}  ({count:,})", table[index].tolist(), "square"))
    legend = [*legend[1:], legend[0]]
    if tissue is not None:
        draw_outline(picture, tissue, grid.size_l0, colour=_INK, stroke="dashed", halo=False)
        legend.append(Entry("tissue", _INK, "dashed"))
    for name, area in annotations.items():
        draw_outline(picture, area, grid.size_l0, colour=colours[name], width_px=1, halo=False)
        legend.append(Entry(f"annotated {name}", colours[name].tolist(), "line"))
    legend += draw_flaws(picture, grid, flaws or {})
    width_um = grid.size_l0[0] * grid.slide_mpp[0]
    write_sheet(picture, path, title=title, width_um=width_um, key=legend)


def flawed(
    grid: PatchGrid, flaws: Mapping[str, NDArray[np.bool_]]
) -> list[tuple[Entry, BaseGeometry]]:
    """Of each flaw that any patch has the legend's entry, and where it is, in level-0 pixels."""
    return [
        (Entry(f"{name}  ({rows.sum():,})", colour, "dotted"), regions(grid, rows))
        for (name, rows), colour in zip(flaws.items(), _FLAWS, strict=False)
        if rows.any()
    ]


def draw_flaws(
    picture: NDArray[np.uint8], grid: PatchGrid, flaws: Mapping[str, NDArray[np.bool_]]
) -> list[Entry]:
    """Outline patches with a flaw, in place, dotted and a colour each; the legend's entries."""
    found = flawed(grid, flaws)
    for entry, area in found:
        draw_outline(picture, area, grid.size_l0, colour=entry.colour, stroke="dotted")
    return [entry for entry, _ in found]


def regions(grid: PatchGrid, chosen: NDArray[np.bool_]) -> BaseGeometry:
    """The area of the chosen patches, each as its cell about its centre, in level-0 pixels.

    Without overlap that is the patch itself; overlapping ones would each reach into the others'.
    """
    mask = np.zeros(grid.shape, bool)
    mask[tuple(grid.cell[chosen].T)] = True
    cells = outline(mask, grid.stride_l0)
    shift = (np.array(grid.footprint_l0) - grid.stride_l0) / 2
    return shapely.transform(cells, lambda points: points + shift)


def _draw_edges(picture: NDArray[np.uint8], grid: PatchGrid, colours: NDArray[np.uint8]) -> None:
    """Draw thin edges of single patches, in place, where they do not overlap or crowd."""
    height, width = picture.shape[:2]
    scale = np.array([width / grid.size_l0[0], height / grid.size_l0[1]] * 2)
    if grid.overlap_px or grid.footprint_l0[0] * scale[0] < _LEAST_PX:
        return
    edges = picture.copy()
    corners = np.rint(grid.boxes_l0() * scale).astype(np.int64)  # neighbours share their edge
    for (left, top, right, bottom), colour in zip(corners.tolist(), colours.tolist(), strict=True):
        cv2.rectangle(edges, (left, top), (right, bottom), colour, 1)
    cv2.addWeighted(edges, _EDGE_OPACITY, picture, 1 - _EDGE_OPACITY, 0, dst=picture)
