"""Pictures over a slide's thumbnail: the patch grid with its labels, scores, classes, novelty.

Everything is painted by arithmetic on the thumbnail's pixels, so that a patch's or cell's edge lies
within half a pixel of where level 0 has it, and 100,000 patches cost no more than a few.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.pictures.palette import class_colours

if TYPE_CHECKING:
    from shapely import Polygon
    from shapely.geometry.base import BaseGeometry

    from histocnn.patches.grid import PatchGrid
    from histocnn.patches.truth import PatchTruth
    from histocnn.pictures.sheet import Entry

Pair = tuple[float, float]

PICTURE_PX = 2000  # the longest side of a thumbnail worth asking for
_SMALLEST_PX = 1000  # smaller thumbnails are enlarged, so that lines stay thin and letters fit
_UNLABELLED = np.array([90, 90, 90], dtype=np.uint8)
_OUTLINE = (20, 20, 20)
_SUBPIXEL_BITS = 4  # cv2 draws at 1/16 pixel


def canvas(
    thumbnail: NDArray[np.uint8], size_l0: tuple[int, int], slide_mpp: Pair
) -> NDArray[np.uint8]:
    """The thumbnail as a picture to paint on, [h, w, 3]: large enough, in true proportions.

    A slide with different µm/px in x and y is shown in its true proportions; other thumbnails that
    are large enough come back as they are.
    """
    height, width = thumbnail.shape[:2]
    grow = max(1.0, _SMALLEST_PX / max(height, width))
    tall = size_l0[1] * slide_mpp[1] / (size_l0[0] * slide_mpp[0]) * width / height
    stretch = tall if abs(tall - 1) > 0.02 else 1.0
    size = (max(1, round(width * grow)), max(1, round(height * grow * stretch)))
    if size == (width, height):
        return thumbnail.copy()
    return np.asarray(cv2.resize(thumbnail, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def faded(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture in light greys: structure stays visible, and colour is left to mean the score."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    light = np.clip(grey * 0.75 + 64, 0, 255).astype(np.uint8)
    return np.repeat(light[..., None], 3, axis=2)


def cell_layer(
    cells: NDArray[np.uint8], stride_l0: Pair, size_l0: tuple[int, int], size_px: tuple[int, int]
) -> NDArray[np.uint8]:
    """A raster of cells (RGBA [rows, cols, 4]) over the whole slide, [h, w, 4].

    A pixel shows the cell that its centre lies in, computed from level 0.

    Args:
        cells: One colour per cell; cell (0, 0) starts at level-0 (0, 0).
        stride_l0: Width and height of a cell in level-0 pixels.
        size_l0: Width and height of level 0.
        size_px: Width and height of the layer; it covers level 0 exactly.
    """
    index = []
    for axis, count in ((0, cells.shape[1]), (1, cells.shape[0])):
        centre_l0 = (np.arange(size_px[axis]) + 0.5) * size_l0[axis] / size_px[axis]
        index.append(np.minimum((centre_l0 / stride_l0[axis]).astype(np.intp), count - 1))
    layer: NDArray[np.uint8] = cells[index[1][:, None], index[0][None, :]]
    return layer


def blend(
    picture: NDArray[np.uint8], layer: NDArray[np.uint8], opacity: float
) -> NDArray[np.uint8]:
    """The layer (RGBA) over the picture (RGB), its own alpha times `opacity`."""
    alpha = layer[..., 3:].astype(np.float32) * (opacity / 255)
    mixed = picture * (1 - alpha) + layer[..., :3] * alpha
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def draw_outline(
    picture: NDArray[np.uint8], outline: BaseGeometry, size_l0: tuple[int, int], width_px: int = 2
) -> None:
    """Draw the rings of level-0 polygons on the picture, in place."""
    scale = np.array([picture.shape[1] / size_l0[0], picture.shape[0] / size_l0[1]])
    rings = [
        _fixed_point(np.asarray(ring.coords)[:, :2] * scale - 0.5)
        for polygon in _polygons(outline)
        for ring in (polygon.exterior, *polygon.interiors)
    ]
    cv2.polylines(picture, rings, True, _OUTLINE, width_px, cv2.LINE_AA, _SUBPIXEL_BITS)


def draw_patches(
    picture: NDArray[np.uint8],
    boxes_l0: NDArray[np.float64],
    colours: NDArray[np.uint8],
    size_l0: tuple[int, int],
    *,
    opacity: float = 0.35,
) -> None:
    """Draw patches as tinted squares with an edge of their colour, in place.

    Args:
        picture: RGB [h, w, 3], covers level 0 exactly.
        boxes_l0: minx, miny, maxx, maxy per patch, [N, 4].
        colours: RGBA per patch, [N, 4]; alpha 0 is drawn as an edge without a tint.
        size_l0: Width and height of level 0.
        opacity: Of the tint.
    """
    height, width = picture.shape[:2]
    scale = np.array([width / size_l0[0], height / size_l0[1]] * 2)
    corners = np.rint(boxes_l0 * scale).astype(np.int64)  # neighbours share their edge
    tint = np.zeros((height, width, 4), dtype=np.uint8)
    edge = np.zeros((height, width, 4), dtype=np.uint8)
    for (left, top, right, bottom), colour in zip(corners.tolist(), colours.tolist(), strict=True):
        tint[top:bottom, left:right] = colour
        cv2.rectangle(edge, (left, top), (right, bottom), (*colour[:3], 255), 1)
    picture[:] = blend(picture, tint, opacity)
    side_px = float(np.median(corners[:, 2] - corners[:, 0])) if len(corners) else 0.0
    # Edges of patches of a few pixels would hide the tissue: they fade with the patch.
    picture[:] = blend(picture, edge, float(np.clip(side_px / 16, 0.15, 0.9)))


def tile_overview(
    thumbnail: NDArray[np.uint8],
    grid: PatchGrid,
    labels: PatchTruth,
    *,
    outline: BaseGeometry | None,
    title: str,
    path: Path,
) -> None:
    """Write the picture to look at after tiling: tissue, patches and their labels on the slide.

    Args:
        thumbnail: The whole of level 0, uint8 [h, w, 3]; `PICTURE_PX` is a good size to ask for.
        grid: The patches.
        labels: Their labels.
        outline: The tissue in level-0 pixels.
        title: Above the picture.
        path: The PNG to write.
    """
    from histocnn.pictures.sheet import write_sheet

    picture = canvas(thumbnail, grid.size_l0, grid.slide_mpp)
    # Index -1 is the last colour: that of a patch without a label, which gets no tint.
    table = np.vstack([class_colours(len(labels.names)), _UNLABELLED[None]])
    alpha = np.where(labels.index >= 0, 255, 0).astype(np.uint8)
    colours = np.column_stack([table[labels.index], alpha])
    draw_patches(picture, grid.boxes_l0(), colours, grid.size_l0)
    if outline is not None:
        draw_outline(picture, outline, grid.size_l0)
    write_sheet(
        picture,
        path,
        title=title,
        width_um=grid.size_l0[0] * grid.slide_mpp[0],
        key=_tile_legend(labels, table, outlined=outline is not None),
    )


def _tile_legend(labels: PatchTruth, table: NDArray[np.uint8], *, outlined: bool) -> list[Entry]:
    from histocnn.pictures.sheet import Entry

    counts = np.bincount(labels.index + 1, minlength=len(labels.names) + 1).tolist()
    entries = [
        Entry(f"{name}  ({count:,})", colour)
        for name, count, colour in zip(labels.names, counts[1:], table[:-1].tolist(), strict=True)
    ]
    unlabelled = "no label" if labels.names else "patches"
    entries.append(Entry(f"{unlabelled}  ({counts[0]:,})", table[-1].tolist(), "square"))
    if outlined:
        entries.append(Entry("tissue", _OUTLINE, "line"))
    return entries


def _polygons(geometry: Any) -> Iterable[Polygon]:
    """The polygons in a geometry of any kind."""
    if geometry.geom_type == "Polygon":
        return [geometry] if not geometry.is_empty else []
    return [polygon for part in getattr(geometry, "geoms", ()) for polygon in _polygons(part)]


def _fixed_point(points_px: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.rint(points_px * (1 << _SUBPIXEL_BITS)).astype(np.int32).reshape(-1, 1, 2)
