"""Lines on pictures: outlines of level-0 polygons, whole, dashed or dotted, and hatching."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

if TYPE_CHECKING:
    from shapely import Polygon
    from shapely.geometry.base import BaseGeometry

Points: TypeAlias = NDArray[np.float64]  # [N, 2], (x, y)
Stroke: TypeAlias = Literal["line", "dashed", "dotted"]

_SUBPIXEL_BITS = 4  # cv2 draws at 1/16 pixel
_PATTERNS: dict[Stroke, tuple[float, float]] = {"dashed": (4, 2.5), "dotted": (1, 2)}  # in widths
_HATCH_PX = 8  # from line to line, along an axis
_STIPPLE_PX = 7  # from dot to dot


def draw_outline(
    picture: NDArray[np.uint8],
    outline: BaseGeometry,
    size_l0: tuple[int, int],
    *,
    colour: Sequence[int],
    width_px: int = 2,
    stroke: Stroke = "line",
    halo: bool = True,
) -> None:
    """Draw the rings of level-0 polygons on the picture, in place.

    Args:
        picture: RGB [h, w, 3], covers level 0 exactly.
        outline: What to draw; of anything but polygons nothing.
        size_l0: Width and height of level 0.
        colour: RGB.
        width_px: Of the line.
        stroke: Whole, dashed or dotted.
        halo: A white seam on both sides, which keeps the line readable on any stain.
    """
    rings = [
        shapely.get_coordinates(ring)
        for polygon in _polygons(outline)
        for ring in (polygon.exterior, *polygon.interiors)
    ]
    draw_lines(picture, rings, size_l0, colour=colour, width_px=width_px, stroke=stroke, halo=halo)


def draw_lines(
    picture: NDArray[np.uint8],
    lines: Iterable[Points],
    size_l0: tuple[int, int],
    *,
    colour: Sequence[int],
    width_px: int = 2,
    stroke: Stroke = "line",
    halo: bool = True,
) -> None:
    """Draw lines through level-0 points [N, 2] on the picture, in place; as `draw_outline`."""
    scale = np.array([picture.shape[1] / size_l0[0], picture.shape[0] / size_l0[1]])
    pieces = [piece for line in lines for piece in dashes(line * scale - 0.5, stroke, width_px)]
    fixed = [_fixed_point(piece) for piece in pieces]
    if halo:
        cv2.polylines(
            picture, fixed, False, (255, 255, 255), width_px + 2, cv2.LINE_AA, _SUBPIXEL_BITS
        )
    ink = tuple(int(channel) for channel in colour)
    cv2.polylines(picture, fixed, False, ink, width_px, cv2.LINE_AA, _SUBPIXEL_BITS)


def kept_lines(
    areas: Iterable[BaseGeometry], kept: Callable[[Points], NDArray[np.bool_]], longest: float
) -> list[Points]:
    """The rings of polygons without the pieces that are not to be drawn.

    Args:
        areas: Polygons.
        kept: Given the ends of pieces, [N, 2, 2], tells which are drawn, bool [N].
        longest: Pieces are no longer than this.

    Returns:
        Lines [N, 2]; a ring that is drawn whole is closed.

    >>> left = lambda ends: ends[:, :, 0].max(axis=1) <= 3
    >>> [line.tolist() for line in kept_lines([shapely.box(0, 0, 5, 2)], left, 10)]
    [[[0.0, 2.0], [0.0, 0.0]]]
    """
    lines = []
    for ring in shapely.get_rings(np.array(list(areas), object)):
        points = shapely.get_coordinates(shapely.segmentize(ring, longest))
        drawn = kept(np.stack([points[:-1], points[1:]], axis=1))
        if not drawn.all():
            # Begin behind a gap, so that no line is cut where the ring happens to begin.
            first = int(np.argmin(drawn)) + 1
            points, drawn = np.roll(points[:-1], -first, axis=0), np.roll(drawn, -first)
            points = np.vstack([points, points[:1]])
        steps = np.flatnonzero(np.diff(np.concatenate([[0], drawn, [0]])))
        lines += [points[start : stop + 1] for start, stop in steps.reshape(-1, 2)]
    return lines


def dashes(points: Points, stroke: Stroke, width_px: float) -> list[Points]:
    """The pieces of a line [N, 2] that are drawn; the whole of it where it is not broken.

    >>> [piece[[0, -1], 0].tolist() for piece in dashes(np.array([[0.0, 0], [20, 0]]), "dotted", 3)]
    [[0.0, 3.0], [9.0, 12.0], [18.0, 20.0]]
    """
    if stroke == "line":
        return [points]
    along = np.append(0, np.cumsum(np.hypot(*np.diff(points, axis=0).T)))
    on, off = (share * width_px for share in _PATTERNS[stroke])
    pieces = []
    for start in np.arange(0, along[-1], on + off):
        stop = min(start + on, along[-1])
        at = np.concatenate([[start], along[(along > start) & (along < stop)], [stop]])
        pieces.append(np.stack([np.interp(at, along, points[:, axis]) for axis in (0, 1)], axis=1))
    return pieces


def hatch(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Diagonal lines two pixels wide: which pixels of a picture [h, w] are on one."""
    rows, cols = np.arange(_HATCH_PX)[:, None], np.arange(_HATCH_PX)[None]
    return _tiled((rows + cols) % _HATCH_PX < 2, shape)


def stipple(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Dots three pixels wide: which pixels of a picture [h, w] are on one."""
    rows, cols = np.arange(_STIPPLE_PX**2)[:, None], np.arange(_STIPPLE_PX)[None]
    dots = (rows % _STIPPLE_PX < 3) & ((cols + rows // _STIPPLE_PX * 3) % _STIPPLE_PX < 3)
    return _tiled(dots, shape)


def _tiled(pattern: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A pattern again and again over a picture [h, w]."""
    times = [-(-side // own) for side, own in zip(shape[:2], pattern.shape, strict=True)]
    return np.tile(pattern, times)[: shape[0], : shape[1]]


def _polygons(geometry: Any) -> Iterable[Polygon]:
    """The polygons in a geometry of any kind."""
    if geometry.geom_type == "Polygon":
        return [geometry] if not geometry.is_empty else []
    return [polygon for part in getattr(geometry, "geoms", ()) for polygon in _polygons(part)]


def _fixed_point(points_px: Points) -> NDArray[np.int32]:
    return np.rint(points_px * (1 << _SUBPIXEL_BITS)).astype(np.int32).reshape(-1, 1, 2)
