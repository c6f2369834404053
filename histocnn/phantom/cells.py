"""Where a phantom's cells lie: rows of nuclei along glands, crowds in tumour, a few in stroma."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from shapely.geometry.base import BaseGeometry

Floats: TypeAlias = NDArray[np.floating[Any]]

EPITHELIUM, TUMOUR, FIBROBLAST, LYMPHOCYTE, RED_CELL = range(5)  # kinds of cells to paint
NUCLEUS_ARC_UM = 7.6  # normal nuclei sit this far apart along the gland's base
TUMOUR_PER_NORMAL = 0.385  # larger nuclei, so fewer of them: together they cover as much
STROMA_PITCH_UM = 21.0
ANGLES = np.linspace(0, 2 * np.pi, 48, endpoint=False, dtype=np.float32)
RAYS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)  # [48, 2]


@dataclass(frozen=True, eq=False)
class Cells:
    """Nuclei (and red cells) to stamp: positions float32 [N, 2] in µm, kinds int8, angles."""

    xy_um: Floats
    kind: NDArray[np.int8]
    angle: Floats


def lattice(
    rng: np.random.Generator, region: BaseGeometry, spacing: float, jitter: float
) -> Floats:
    """A jittered hexagonal lattice over the region's points, float32 [N, 2]."""
    if region.is_empty:
        return np.zeros((0, 2), np.float32)
    minx, miny, maxx, maxy = region.bounds
    pitch_y = spacing * np.sqrt(3) / 2
    rows = np.arange(miny, maxy + pitch_y, pitch_y)
    columns = np.arange(minx, maxx + spacing, spacing)
    x, y = np.meshgrid(columns, rows)
    x[1::2] += spacing / 2
    points = np.stack([x.ravel(), y.ravel()], 1) + rng.normal(0, jitter * spacing, (x.size, 2))
    shapely.prepare(region)
    return points[inside(region, points)].astype(np.float32)


def inside(region: BaseGeometry, points: Floats) -> NDArray[np.bool_]:
    """Which of the points [..., 2] lie in the region."""
    return np.asarray(shapely.contains_xy(region, points[..., 0], points[..., 1]))


CellColumns = tuple[Floats, NDArray[np.int8], Floats]


def _columns(xy: Floats, kind: int | NDArray[np.int8], angle: NDArray[np.floating]) -> CellColumns:
    kinds = np.broadcast_to(np.asarray(kind, np.int8), len(xy))
    return xy.astype(np.float32), kinds, angle.astype(np.float32)


def depth_in(
    points: Floats, centres: Floats, radius: Floats
) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Depth of each point in its nearest gland's outline (µm), that gland, and the angle."""
    if not len(centres) or not len(points):
        n = len(points)
        return np.full(n, -1e3, np.float32), np.zeros(n, np.int64), np.zeros(n, np.float32)
    _, gland = cKDTree(centres).query(points)
    gap = points - centres[gland]
    angle = np.arctan2(gap[:, 1], gap[:, 0])
    ray = np.round(angle / (2 * np.pi) * len(RAYS)).astype(int) % len(RAYS)
    depth = radius[gland, ray] - np.hypot(gap[:, 0], gap[:, 1])
    return depth.astype(np.float32), gland, angle.astype(np.float32)


def _counted(outer: Floats, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Gland and running number within it of each nucleus: `share` of a row along the base."""
    row_um = 2 * np.pi * np.maximum(outer.mean(axis=1) - 7.5, 1)
    counts = np.maximum(np.round(share * row_um / NUCLEUS_ARC_UM).astype(np.int64), 1)
    gland = np.repeat(np.arange(len(outer)), counts)
    return gland, np.arange(len(gland)) - np.repeat(np.cumsum(counts) - counts, counts)


def _at(radius: Floats, gland: NDArray[np.int64], turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each nucleus's gland outline in its direction, `turn` of a full circle, interpolated."""
    place = turn * len(RAYS)
    left = np.floor(place).astype(int)
    share = place - left
    here, there = radius[gland, left % len(RAYS)], radius[gland, (left + 1) % len(RAYS)]
    return np.asarray(here * (1 - share) + there * share)


def _polar(
    centre: Floats, radius: NDArray[np.float64], turn: NDArray[np.float64]
) -> NDArray[np.float64]:
    angle = 2 * np.pi * turn
    return np.asarray(centre + np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None])


def normal_nuclei(rng: np.random.Generator, centres: Floats, outer: Floats) -> CellColumns:
    """Place one orderly row near the base, standing upright: even steps along each outline."""
    if not len(centres):
        return _columns(np.zeros((0, 2), np.float32), EPITHELIUM, np.zeros(0))
    gland, step = _counted(outer, 1.0)
    counts = np.bincount(gland)[gland]
    turn = ((step + rng.normal(0, 0.09, len(gland))) / counts) % 1
    radius = np.maximum(_at(outer, gland, turn) - 7.5, 1) + rng.normal(0, 0.8, len(gland))
    angle = 2 * np.pi * turn + rng.normal(0, 0.12, len(gland))
    return _columns(_polar(centres[gland], radius, turn), EPITHELIUM, angle)


def tumour_nuclei(
    rng: np.random.Generator, centres: Floats, outer: Floats, inner: Floats
) -> CellColumns:
    """Place large nuclei at any depth of the epithelium, turned any way."""
    if not len(centres):
        return _columns(np.zeros((0, 2), np.float32), TUMOUR, np.zeros(0))
    gland, step = _counted(outer, TUMOUR_PER_NORMAL)
    golden = 0.5 * (np.sqrt(5) - 1)  # spreads any number of nuclei evenly in angle
    turn = (step * golden + rng.uniform(0, 1, len(centres))[gland]) % 1
    turn = (turn + rng.normal(0, 0.012, len(gland))) % 1
    base, apex = _at(outer, gland, turn) - 5.5, _at(inner, gland, turn) + 5.5
    depth = (step * 0.382 + rng.uniform(0, 1, len(gland)) * 0.5) % 1
    radius = np.where(apex < base, base + (apex - base) * depth**1.2, (apex + base) / 2)
    return _columns(_polar(centres[gland], radius, turn), TUMOUR, rng.uniform(0, np.pi, len(gland)))


def stroma_nuclei(
    rng: np.random.Generator, region: BaseGeometry, centres: Floats, outer: Floats
) -> CellColumns:
    """Fibroblasts that run along the glands, and scattered lymphocytes."""
    points = lattice(rng, region, STROMA_PITCH_UM, 0.3)
    depth, _, angle = depth_in(points, centres, outer)
    kept = depth < -2
    points, angle = points[kept], angle[kept]
    round_ones = rng.uniform(size=len(points)) < 0.3
    kind = np.where(round_ones, LYMPHOCYTE, FIBROBLAST).astype(np.int8)
    return _columns(points, kind, angle + np.pi / 2 + rng.normal(0, 0.3, len(points)))


def red_cells(rng: np.random.Generator, vessels: Floats) -> CellColumns:
    """A few red cells in every vessel."""
    centres = vessels.mean(axis=1)
    spread = np.abs(vessels - centres[:, None]).mean(axis=(1, 2)) if len(vessels) else np.zeros(0)
    each = 7
    offsets = rng.normal(0, 0.5, (len(vessels), each, 2)) * spread[:, None, None]
    xy = (centres[:, None] + offsets).reshape(-1, 2).astype(np.float32)
    return _columns(xy, RED_CELL, rng.uniform(0, np.pi, len(xy)))
