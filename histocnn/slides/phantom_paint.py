"""Paints a phantom's layout block by block: haematoxylin and eosin first, then their colours.

Everything is drawn into two uint8 maps of stain, and one table turns a pair of stains into RGB
by Beer and Lambert's law. A lab is nothing but such a table.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from histocnn.slides.phantom_tissue import (
    EPITHELIUM,
    FIBROBLAST,
    LYMPHOCYTE,
    RED_CELL,
    TUMOUR,
    Floats,
    Layout,
)

Pixels = NDArray[np.uint8]

BLOCK_PX = 2048
STAIN_PER_OD = 125.0  # grey levels of a stain map per unit of optical density
GLASS_RGB = (243.0, 242.0, 244.0)
FOCUS_UM = 0.30  # the optics' own blur, and that of a field out of focus
DEFOCUS_UM = 2.6
PEN_RGB = {
    "blue": (38, 62, 168),
    "green": (32, 128, 74),
    "black": (36, 34, 40),
    "red": (206, 30, 48),
}

# Optical density per channel of one unit of stain. The first row is Ruifrok and Johnston's (2001)
# haematoxylin; eosin lies between theirs (0.07, 0.99, 0.11) and the one Macenko et al. (2009)
# measured (0.22, 0.80, 0.56). Gains are how much of each stain the lab uses.
LABS: dict[str, tuple[tuple[float, ...], tuple[float, ...], float, float]] = {
    "A": ((0.65, 0.70, 0.29), (0.15, 0.88, 0.37), 1.00, 1.00),
    "B": ((0.58, 0.72, 0.38), (0.24, 0.82, 0.52), 0.86, 1.22),
    "C": ((0.72, 0.64, 0.26), (0.10, 0.94, 0.27), 1.18, 0.80),
    "D": ((0.62, 0.70, 0.36), (0.20, 0.84, 0.50), 1.20, 1.12),
}

# width, height in µm, haematoxylin at the rim and inside, how far sizes vary
NUCLEI: dict[int, tuple[float, float, float, float, float]] = {
    EPITHELIUM: (8.4, 5.4, 150, 118, 0.07),
    TUMOUR: (12.0, 9.6, 158, 112, 0.20),
    FIBROBLAST: (13.0, 2.6, 150, 140, 0.18),
    LYMPHOCYTE: (6.0, 5.8, 178, 160, 0.06),
    RED_CELL: (6.2, 5.6, 112, 92, 0.05),
}
SHAPES, TURNS = 12, 16


class Painter:
    """Paints any block of one slide; pure in (layout, mpp, lab, seed), whatever the order."""

    def __init__(
        self, layout: Layout, size_px: tuple[int, int], mpp: float, lab: str, pen: str | None,
        seed: int,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng([seed, 1])
        self._layout, self._mpp = layout, mpp
        self._margin_px = int(np.clip(3.2 * DEFOCUS_UM / mpp, 4, 96))
        self._colours = _colour_table(lab, *rng.normal(1, 0.06, 2))
        self._pen = np.array(PEN_RGB[pen], np.float32) if pen else None
        self._stamps = _stamps(mpp)
        self._shape = rng.integers(0, SHAPES, len(layout.cells.kind))
        self._thickness = _thickness(rng, size_px, mpp)
        self._rings = {
            name: _Rings(getattr(layout, name), mpp)
            for name in ("glands", "lumina", "fat_cells", "vessels")
        }
        for region in (layout.tissue, layout.pen, layout.blurred, layout.fat):
            shapely.prepare(region)
        self._row_order = np.argsort(layout.cells.xy_um[:, 1], kind="stable")
        self._row_um = layout.cells.xy_um[self._row_order, 1]

    def is_glass(self, x_px: int, y_px: int) -> bool:
        """Whether nothing is to be seen in the block whose top left is here."""
        area = self._area_um(x_px, y_px)
        return not (self._layout.tissue.intersects(area) or self._layout.pen.intersects(area))

    def paint(self, x_px: int, y_px: int) -> Pixels:
        """The block of BLOCK_PX² pixels whose top left is (x, y), uint8 [B, B, 3]."""
        margin = self._margin_px
        origin = np.array((x_px - margin, y_px - margin))
        side = BLOCK_PX + 2 * margin
        stains = self._stains(origin, side, self._area_um(x_px, y_px))
        sigma = FOCUS_UM / self._mpp
        if sigma > 0.3:
            stains = cv2.GaussianBlur(stains, (0, 0), sigma)
        rgb = _develop(stains, self._colours)
        rgb = self._defocus(rgb, origin)
        inner = rgb[margin : margin + BLOCK_PX, margin : margin + BLOCK_PX]
        return self._draw_pen(inner, origin + margin)

    def _area_um(self, x_px: int, y_px: int) -> shapely.Polygon:
        low, high = -self._margin_px, BLOCK_PX + self._margin_px
        corners = np.array((x_px + low, y_px + low, x_px + high, y_px + high)) * self._mpp
        return box(*corners)

    def _mask(self, region: BaseGeometry, origin: NDArray[np.int64], side: int) -> Pixels:
        """Pixels whose centre lies in the region as 255, others 0."""
        mask = np.zeros((side, side), np.uint8)
        rings = [
            _fixed_point(np.asarray(ring.coords) / self._mpp - origin)
            for part in shapely.get_parts(region)
            if isinstance(part, shapely.Polygon)
            for ring in (part.exterior, *part.interiors)
        ]
        if rings:
            cv2.fillPoly(mask, rings, 255, shift=4)
        return mask

    def _stains(
        self, origin: NDArray[np.int64], side: int, area_um: shapely.Polygon
    ) -> Pixels:
        """Haematoxylin and eosin as uint8 [side, side, 2]."""
        texture = _textures(self._mpp, self._margin_px)
        h, e = np.zeros((2, side, side), np.uint8)
        if not self._layout.tissue.intersects(area_um):
            return cv2.merge([e, h])
        tissue = self._mask(self._layout.tissue, origin, side)
        cv2.copyTo(texture["fibre_h"], tissue, h)
        cv2.copyTo(texture["fibre_e"], tissue, e)
        if self._layout.fat.intersects(area_um):
            self._draw_fat(h, e, origin, area_um)
        self._draw_glands(h, e, texture, origin, area_um)
        self._draw_cells(h, e, origin, area_um)
        for stain, map_ in zip((h, e), self._thickness, strict=True):
            matrix = np.float32([[self._mpp, 0, origin[0] * self._mpp],
                                 [0, self._mpp, origin[1] * self._mpp]]) / THICKNESS_UM  # fmt: skip
            gain = cv2.warpAffine(
                map_, matrix, (side, side),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
            )  # fmt: skip
            cv2.multiply(stain, gain, dst=stain, scale=1 / 128)
            cv2.add(stain, texture["grain"], dst=stain)
        return cv2.merge([e, h])

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
        line_px = max(1, round(0.9 / self._mpp))
        glands = self._rings["glands"].within(area_um, origin)
        lumina = self._rings["lumina"].within(area_um, origin)
        vessels = self._rings["vessels"].within(area_um, origin)
        cv2.polylines(e, glands, True, 100, line_px * 2, cv2.LINE_8, shift=4)
        epithelium = np.zeros_like(h)
        cv2.fillPoly(epithelium, glands, 255, shift=4)
        cv2.copyTo(texture["cytoplasm_h"], epithelium, h)
        cv2.copyTo(texture["cytoplasm_e"], epithelium, e)
        cv2.polylines(e, lumina, True, 84, line_px * 2, cv2.LINE_8, shift=4)
        inside = np.zeros_like(h)
        cv2.fillPoly(inside, lumina, 255, shift=4)
        cv2.copyTo(texture["mucus"], inside, e)
        cv2.fillPoly(h, lumina, 3, shift=4)
        cv2.polylines(e, vessels, True, 96, line_px * 2, cv2.LINE_8, shift=4)
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
        half = next(iter(self._stamps.values()))[0][0].shape[0] // 2
        side = h.shape[0]
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
        soft = cv2.GaussianBlur(rgb, (0, 0), max(DEFOCUS_UM / self._mpp, 0.3))
        cv2.copyTo(soft, self._mask(self._layout.blurred, origin, side), rgb)
        return rgb

    def _draw_pen(self, rgb: Pixels, origin: NDArray[np.int64]) -> Pixels:
        """Felt tip lets little light through: most of the colour is the pen's own."""
        area = box(*(np.array((*origin, *(origin + BLOCK_PX))) * self._mpp))
        if self._pen is None or not self._layout.pen.intersects(area):
            return np.ascontiguousarray(rgb)
        inked = rgb.astype(np.float32) * (0.14 * (0.3 + 0.7 * self._pen / 255)) + 0.86 * self._pen
        mask = self._mask(self._layout.pen, origin, BLOCK_PX)
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
    """To cv2's fixed point with four binary digits, where a pixel's centre is a whole number."""
    return np.round((points_px - 0.5) * 16).astype(np.int32)


# --- stain to colour ---------------------------------------------------------------------------


def _colour_table(lab: str, gain_h: float, gain_e: float) -> NDArray[np.uint32]:
    """RGBA of every pair of stains, uint32 [65536], indexed by 256 × haematoxylin + eosin."""
    vector_h, vector_e, lab_h, lab_e = LABS[lab]
    level = np.arange(256) / STAIN_PER_OD
    density = (
        (level * lab_h * gain_h)[:, None, None] * np.array(vector_h)
        + (level * lab_e * gain_e)[None, :, None] * np.array(vector_e)
    )  # fmt: skip
    rgba = np.full((256, 256, 4), 255, np.uint8)
    rgba[..., :3] = np.round(np.array(GLASS_RGB) * np.exp(-density))
    return rgba.view(np.uint32).reshape(-1)


def _develop(stains: Pixels, table: NDArray[np.uint32]) -> Pixels:
    index = stains.view("<u2")[..., 0]
    rgba = np.take(table, index).view(np.uint8).reshape(*index.shape, 4)
    return np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB))


THICKNESS_UM = 180.0  # sections are unevenly thick and stained on about this scale


def _thickness(
    rng: np.random.Generator, size_px: tuple[int, int], mpp: float
) -> tuple[Pixels, Pixels]:
    """Two coarse maps of how much stain sticks where, 128 = as laid out."""
    width, height = (int(side * mpp / THICKNESS_UM) + 4 for side in size_px)
    maps = rng.normal(0, 1, (2, height, width))
    maps = np.stack([gaussian_filter(m, 1.3, mode="reflect") for m in maps])
    maps *= 0.11 / max(float(maps.std()), 1e-6)
    first, second = np.clip(np.round(128 * (1 + maps)), 80, 176).astype(np.uint8)
    return first, second


# --- textures and stamps: the same for every slide of a resolution -----------------------------


def _noise(rng: np.random.Generator, side: int, sigma_px: float) -> Floats:
    """Periodic smooth noise of zero mean and unit deviation."""
    frequency = np.fft.fftfreq(side)
    fade = np.exp(-2 * (np.pi * sigma_px) ** 2 * frequency**2)
    spectrum = np.fft.fft2(rng.normal(size=(side, side))) * fade[:, None] * fade
    noise = np.fft.ifft2(spectrum).real
    return ((noise - noise.mean()) / max(noise.std(), 1e-9)).astype(np.float32)


@lru_cache(maxsize=2)
def _textures(mpp: float, margin_px: int) -> dict[str, Pixels]:
    """Stain maps of each material, periodic, cut to a block with its margin."""
    rng = np.random.default_rng(7)
    period = 1024

    def lay(texture: NDArray[np.floating]) -> Pixels:
        pad = margin_px
        tiled = np.pad(np.tile(texture, (BLOCK_PX // period,) * 2), pad, mode="wrap")
        return np.ascontiguousarray(np.clip(np.round(tiled), 0, 255).astype(np.uint8))

    bend = _noise(rng, period, 26 / mpp) * (30 / mpp) + _noise(rng, period, 6 / mpp) * (3 / mpp)
    line = np.fft.fft(rng.normal(size=period))
    line *= np.exp(-2 * (np.pi * 1.0 / mpp * np.fft.fftfreq(period)) ** 2)
    strand = np.fft.ifft(line).real
    strand /= strand.std()
    rows = (np.arange(period)[:, None] + bend) % period
    fibre = np.interp(rows, np.arange(period + 1), np.append(strand, strand[0]))
    fibre = fibre + 0.35 * _noise(rng, period, 1.2 / mpp)
    cleft = np.clip((fibre + 1.75) / 0.35, 0.08, 1)  # thin gaps between bundles
    fine, coarse = _noise(rng, period, 0.8 / mpp), _noise(rng, period, 4.0 / mpp)
    return {
        "fibre_e": lay((62 + 12 * fibre + 4 * coarse) * cleft),
        "fibre_h": lay((10 + 2.5 * coarse) * cleft),
        "cytoplasm_e": lay(52 + 5 * fine + 5 * coarse),
        "cytoplasm_h": lay(27 + 4 * fine + 4 * coarse),
        "mucus": lay(5 + 4 * np.maximum(coarse + 0.5 * fine - 0.6, 0)),
        "grain": lay(1.5 + rng.normal(0, 1.1, (period, period))),
    }


@lru_cache(maxsize=4)
def _stamps(mpp: float) -> dict[int, list[list[Pixels]]]:
    """Pictures of single cells by kind, shape and turn: uint8 stain maps, all equally large."""
    rng = np.random.default_rng(11)
    half_px = int(np.ceil(9.5 / mpp)) + 1
    return {
        kind: [_turned(rng, half_px, mpp, kind) for _ in range(SHAPES)] for kind in sorted(NUCLEI)
    }


def _turned(rng: np.random.Generator, half_px: int, mpp: float, kind: int) -> list[Pixels]:
    """One cell in all its turns: an oval with a dark rim, mottled chromatin and nucleoli."""
    width, height, rim, middle, vary = NUCLEI[kind]
    width, height = np.array((width, height)) * np.clip(1 + rng.normal(0, vary, 2), 0.6, 1.45)
    wobble = [(k, rng.normal(0, 0.035), rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4)]
    ink = 1 + np.clip(rng.normal(0, 0.07), -0.15, 0.15)
    speckle = _noise(rng, 96, 1.8)
    nucleoli = rng.uniform(-0.45, 0.45, (rng.integers(1, 3), 2)) if kind == TUMOUR else []
    fine = 4  # drawn finer, then shrunk: a smooth edge
    y, x = (np.mgrid[: 2 * half_px * fine, : 2 * half_px * fine] + 0.5) / fine - half_px
    turns = []
    for turn in range(TURNS):
        angle = np.pi * turn / TURNS
        u = (x * np.cos(angle) + y * np.sin(angle)) * mpp / (width / 2)
        v = (y * np.cos(angle) - x * np.sin(angle)) * mpp / (height / 2)
        polar = np.arctan2(v, u)
        edge = 1 + sum(a * np.cos(k * polar + p) for k, a, p in wobble)
        r = np.hypot(u, v) / edge
        grain = speckle[(v * 20).astype(int) % 96, (u * 20).astype(int) % 96]
        stain = middle + (rim - middle) * np.clip((r - 0.55) / 0.35, 0, 1) + 9 * grain
        for nu, nv in nucleoli:
            stain += 55 * (np.hypot((u - nu) * width, (v - nv) * height) < 2.3)
        stain = np.where(r < 1, np.clip(stain * ink, 0, 255), 0).astype(np.float32)
        turns.append(cv2.resize(stain, None, fx=1 / fine, fy=1 / fine, interpolation=cv2.INTER_AREA))
    return [np.ascontiguousarray(np.round(t).astype(np.uint8)) for t in turns]
