"""Paints a phantom's layout block by block: haematoxylin and eosin first, then their colours.

Everything is drawn into two uint8 maps of stain, and one table turns a pair of stains into RGB
by Beer and Lambert's law. A lab is nothing but such a table.
"""

from __future__ import annotations

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from shapely.geometry import box

from histocnn.phantom.cells import EPITHELIUM, RED_CELL, Floats
from histocnn.phantom.stain import (
    BLOCK_PX,
    GLASS_RGB,
    GRAIN,
    PEN_RGB,
    SHAPES,
    TILE_PX,
    TURNS,
    Pixels,
    colour_table,
    develop,
    stamps,
    textures,
)
from histocnn.phantom.tissue import Layout

FOCUS_UM = 0.30  # the optics' own blur, and that of a field out of focus
DEFOCUS_UM = 2.6
THICKNESS_UM = 90.0  # sections are unevenly thick and stained on about this scale


class Painter:
    """Paints any block of one slide; pure in (layout, mpp, lab, seed), whatever the order."""

    def __init__(
        self, layout: Layout, size_px: tuple[int, int], mpp: float, lab: str, pen: str | None,
        seed: int,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng([seed, 1])
        self._layout, self._size_px, self._mpp = layout, size_px, mpp
        self._stamps = stamps(mpp)
        # far enough out that every cell and blur that reaches into a block is drawn whole
        self._half_px = self._stamps[EPITHELIUM][0][0].shape[0] // 2
        self._margin_px = 2 * self._half_px + int(np.ceil(3 * DEFOCUS_UM / mpp))
        self._colours = colour_table(lab, *rng.normal(1, 0.06, 2))
        self._pen = np.array(PEN_RGB[pen], np.float32) if pen else None
        self._shape = rng.integers(0, SHAPES, len(layout.cells.kind))
        self._thickness = _thickness(rng, size_px, mpp)
        self._rings = {
            name: _Rings(getattr(layout, name), mpp)
            for name in ("glands", "apices", "lumina", "fat_cells", "vessels")
        }
        # cv2 also fills the pixels that the outline touches: half a pixel on every side
        self._drawn = {
            name: getattr(layout, name).buffer(-0.5 * mpp)
            for name in ("tissue", "pen", "blurred", "folded")
        }
        for region in (layout.tissue, layout.pen, layout.blurred, layout.fat):
            shapely.prepare(region)
        self._row_order = np.argsort(layout.cells.xy_um[:, 1], kind="stable")
        self._row_um = layout.cells.xy_um[self._row_order, 1]

    def _side_px(self, x_px: int, y_px: int) -> int:
        """How much of a block the slide reaches, in whole tiles."""
        left = max(self._size_px[0] - x_px, self._size_px[1] - y_px)
        return min(BLOCK_PX, -(-left // TILE_PX) * TILE_PX)

    def _is_glass(self, x_px: int, y_px: int) -> bool:
        area = self._area_um(x_px, y_px)
        return not (self._layout.tissue.intersects(area) or self._layout.pen.intersects(area))

    def paint(self, x_px: int, y_px: int) -> Pixels | None:
        """The uint8 [S, S, 3] block whose top left is (x, y); None is bare glass.

        S is BLOCK_PX, or as far as the slide reaches in whole tiles.
        """
        if self._is_glass(x_px, y_px):
            return None
        margin, inner_px = self._margin_px, self._side_px(x_px, y_px)
        origin = np.array((x_px - margin, y_px - margin))
        side = inner_px + 2 * margin
        stains = self._stains(origin, side, self._area_um(x_px, y_px))
        sigma = FOCUS_UM / self._mpp
        if sigma > 0.3:
            stains = np.asarray(cv2.GaussianBlur(stains, (0, 0), sigma), np.uint8)
        rgb = develop(stains, self._colours)
        rgb = self._fold(self._defocus(rgb, origin), origin)
        inner = rgb[margin : margin + inner_px, margin : margin + inner_px]
        return self._draw_pen(inner, origin + margin)

    def _area_um(self, x_px: int, y_px: int) -> shapely.Polygon:
        low, high = -self._margin_px, self._side_px(x_px, y_px) + self._margin_px
        corners = np.array((x_px + low, y_px + low, x_px + high, y_px + high)) * self._mpp
        return box(*corners)

    def _mask(self, name: str, origin: NDArray[np.int64], side: int) -> Pixels:
        """Pixels whose centre lies in the region (to half a pixel) as 255, others 0."""
        mask = np.zeros((side, side), np.uint8)
        rings = [
            _fixed_point(np.asarray(ring.coords) / self._mpp - origin)
            for part in shapely.get_parts(self._drawn[name])
            if isinstance(part, shapely.Polygon) and not part.is_empty
            for ring in (part.exterior, *part.interiors)
        ]
        if rings:
            cv2.fillPoly(mask, rings, 255, shift=4)
        return mask

    def _stains(self, origin: NDArray[np.int64], side: int, area_um: shapely.Polygon) -> Pixels:
        """Haematoxylin and eosin as uint8 [side, side, 2]."""
        texture = {
            name: pixels[:side, :side]
            for name, pixels in textures(self._mpp, self._margin_px).items()
        }
        h, e = np.zeros((2, side, side), np.uint8)
        if not self._layout.tissue.intersects(area_um):
            return np.asarray(cv2.merge([e, h]), np.uint8)
        tissue = self._mask("tissue", origin, side)
        cv2.copyTo(texture["fibre_h"], tissue, h)
        cv2.copyTo(texture["fibre_e"], tissue, e)
        if self._layout.fat.intersects(area_um):
            self._draw_fat(h, e, origin, area_um)
        self._draw_glands(h, e, texture, origin, area_um)
        self._draw_cells(h, e, origin, area_um)
        for stain, map_ in zip((h, e), self._thickness, strict=True):
            matrix = np.column_stack([np.eye(2), origin]) * (self._mpp / THICKNESS_UM)
            gain = cv2.warpAffine(
                map_, matrix, (side, side),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
            )  # fmt: skip
            cv2.multiply(stain, gain, dst=stain, scale=1 / 128)
            cv2.add(stain, texture["grain"], dst=stain)
            cv2.subtract(stain, np.full_like(stain, GRAIN), dst=stain)
        return np.asarray(cv2.merge([e, h]), np.uint8)

    def _draw_fat(
        self, h: Pixels, e: Pixels, origin: NDArray[np.int64], area_um: shapely.Polygon
    ) -> None:
        cells = self._rings["fat_cells"].within(area_um, origin)
        cv2.fillPoly(h, cells, 1, shift=4)
        cv2.fillPoly(e, cells, 2, shift=4)

    def _draw_glands(
        self,
        h: Pixels,
        e: Pixels,
        texture: dict[str, Pixels],
        origin: NDArray[np.int64],
        area_um: shapely.Polygon,
    ) -> None:
        """Epithelium with a fine basement membrane, lumina with a brush border, vessels."""
        line_px = max(1, round(1.6 / self._mpp))
        glands, apices, lumina, vessels = (
            self._rings[name].within(area_um, origin)
            for name in ("glands", "apices", "lumina", "vessels")
        )
        cv2.polylines(e, glands, True, 100, line_px, cv2.LINE_8, shift=4)
        for rings, material in ((glands, "cytoplasm"), (apices, "apical"), (lumina, "mucus")):
            inside = np.zeros_like(h)
            cv2.fillPoly(inside, rings, 255, shift=4)
            cv2.copyTo(texture[f"{material}_h"], inside, h)
            cv2.copyTo(texture[f"{material}_e"], inside, e)
        cv2.polylines(e, lumina, True, 76, line_px, cv2.LINE_8, shift=4)
        cv2.polylines(e, vessels, True, 96, line_px, cv2.LINE_8, shift=4)
        for stain, level in ((h, 2), (e, 5)):
            cv2.fillPoly(stain, vessels, level, shift=4)

    def _draw_cells(
        self, h: Pixels, e: Pixels, origin: NDArray[np.int64], area_um: shapely.Polygon
    ) -> None:
        cells = self._layout.cells
        minx, miny, maxx, maxy = area_um.bounds
        first, last = np.searchsorted(self._row_um, (miny, maxy))
        rows = np.sort(self._row_order[first:last])
        rows = rows[(cells.xy_um[rows, 0] > minx) & (cells.xy_um[rows, 0] < maxx)]
        centre = np.round(cells.xy_um[rows] / self._mpp - origin).astype(int)
        turn = np.round(cells.angle[rows] / np.pi * TURNS).astype(int) % TURNS
        half, side = self._half_px, h.shape[0]
        whole = ((centre >= half) & (centre < side - half)).all(axis=1)
        columns = zip(
            cells.kind[rows][whole].tolist(), self._shape[rows][whole].tolist(),
            turn[whole].tolist(), (centre[whole] - half).tolist(), strict=True,
        )  # fmt: skip
        for kind, shape, angle, (x, y) in columns:
            stamp = self._stamps[kind][shape][angle]
            canvas = e if kind == RED_CELL else h
            there = canvas[y : y + stamp.shape[0], x : x + stamp.shape[1]]
            np.maximum(there, stamp, out=there)

    def _defocus(self, rgb: Pixels, origin: NDArray[np.int64]) -> Pixels:
        side = rgb.shape[0]
        area = box(*(np.array((*origin, *(origin + side))) * self._mpp))
        if not self._layout.blurred.intersects(area):
            return rgb
        sigma = max(DEFOCUS_UM / self._mpp, 0.3)
        soft = cv2.GaussianBlur(rgb, (0, 0), sigma).astype(np.float32)
        share = cv2.blur(self._mask("blurred", origin, side), (2 * self._half_px + 1,) * 2)
        mixed = rgb + (soft - rgb) * (share[..., None] / np.float32(255))
        return np.round(mixed).astype(np.uint8)

    def _fold(self, rgb: Pixels, origin: NDArray[np.int64]) -> Pixels:
        """Where the section lies double it absorbs twice as much."""
        area = box(*(np.array((*origin, *(origin + rgb.shape[0]))) * self._mpp))
        if not self._layout.folded.intersects(area):
            return rgb
        glass = np.array(GLASS_RGB)
        doubled = np.round(np.minimum(np.arange(256)[:, None] ** 2 / glass, glass))
        out = np.ascontiguousarray(rgb)
        table = doubled.astype(np.uint8)[None]
        cv2.copyTo(cv2.LUT(rgb, table), self._mask("folded", origin, rgb.shape[0]), out)
        return out

    def _draw_pen(self, rgb: Pixels, origin: NDArray[np.int64]) -> Pixels:
        """Felt tip lets little light through: most of the colour is the pen's own."""
        side = rgb.shape[0]
        area = box(*(np.array((*origin, *(origin + side))) * self._mpp))
        if self._pen is None or not self._layout.pen.intersects(area):
            return np.ascontiguousarray(rgb)
        inked = rgb.astype(np.float32) * (0.14 * (0.3 + 0.7 * self._pen / 255)) + 0.86 * self._pen
        mask = self._mask("pen", origin, side)
        out = np.ascontiguousarray(rgb)
        cv2.copyTo(inked.astype(np.uint8), mask, out)
        return out


class _Rings:
    """Closed outlines, found by block."""

    def __init__(self, rings_um: Floats, mpp: float) -> None:
        self._px = rings_um / mpp
        self._low, self._high = rings_um.min(axis=1), rings_um.max(axis=1)

    def within(
        self, area_um: shapely.Polygon, origin: NDArray[np.int64]
    ) -> list[NDArray[np.int32]]:
        bounds = np.array(area_um.bounds)
        met = ((self._high > bounds[:2]) & (self._low < bounds[2:])).all(axis=1)
        return list(_fixed_point(self._px[met] - origin))


def _fixed_point(points_px: NDArray[np.floating]) -> NDArray[np.int32]:
    """Convert to cv2's fixed point of four binary digits; a pixel's centre is a whole number."""
    return np.round((points_px - 0.5) * 16).astype(np.int32)


def _thickness(
    rng: np.random.Generator, size_px: tuple[int, int], mpp: float
) -> tuple[Pixels, Pixels]:
    """Draw two coarse maps of how much stain sticks where, 128 = as laid out."""
    width, height = (int(side * mpp / THICKNESS_UM) + 4 for side in size_px)
    maps = rng.normal(0, 1, (2, height, width))
    maps = np.stack([gaussian_filter(m, 1.3, mode="reflect") for m in maps])
    maps *= 0.11 / max(float(maps.std()), 1e-6)
    first, second = np.clip(np.round(128 * (1 + maps)), 80, 176).astype(np.uint8)
    return first, second
