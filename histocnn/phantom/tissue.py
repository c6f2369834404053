"""Where everything in a phantom slide lies: outlines and nuclei in µm, not yet a pixel.

Normal and tumour tissue are laid out on the same lattice of glands with the same share of
stroma, epithelium and lumen, and nuclei cover the same share of the epithelium. What differs
is what a pathologist looks at: the size, number and order of nuclei, and the glands' shape.
Colour alone therefore tells the two apart badly, as it should.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from shapely.affinity import scale
from shapely.geometry import Point, Polygon
from shapely.geometry.base import BaseGeometry

from histocnn.phantom.cells import (
    ANGLES,
    EPITHELIUM,
    RAYS,
    TUMOUR,
    Cells,
    Floats,
    depth_in,
    inside,
    lattice,
    normal_nuclei,
    red_cells,
    stroma_nuclei,
    tumour_nuclei,
)
from histocnn.phantom.marks import fold_across, pen_strokes

GLAND_SPACING_UM = 105.0
EPITHELIUM_UM = 19.0  # height of the cells around a normal lumen
FAT_SPACING_UM = 62.0
LESION_SHARE, FAT_SHARE = 0.48, 0.035  # of the tissue's area


@dataclass(frozen=True, eq=False)
class Layout:
    """One slide's content in µm: regions as geometry, rings as float32 [N, 48, 2] outlines."""

    tissue: BaseGeometry
    tumour: BaseGeometry
    fat: BaseGeometry
    pen: BaseGeometry
    blurred: BaseGeometry
    folded: BaseGeometry
    glands: Floats
    apices: Floats
    lumina: Floats
    fat_cells: Floats
    vessels: Floats
    cells: Cells

    @property
    def normal(self) -> BaseGeometry:
        """Glandular tissue outside tumour and fat."""
        return self.tissue.difference(self.tumour.union(self.fat))


def lay_out(
    rng: np.random.Generator,
    slide_um: tuple[float, float],
    tissue_um: tuple[float, float],
    *,
    lesions: int,
    pen: bool,
    blur: bool,
    fold: bool = False,
) -> Layout:
    """Lay out a slide of `slide_um` (w, h) with a section of `tissue_um` at its centre."""
    centre = np.array(slide_um) / 2
    tissue = _section(rng, centre, tissue_um)
    tumour = _patches_of(rng, tissue, lesions, LESION_SHARE)
    fat = _patches_of(rng, tissue, 3, FAT_SHARE, at_edge=True).difference(tumour.buffer(6))
    blurred = _patches_of(rng, tissue, int(blur), 0.12)
    strokes = pen_strokes(rng, centre, tissue_um) if pen else Polygon()
    pen_area = strokes.intersection(shapely.box(0, 0, *slide_um))
    normal = tissue.difference(tumour.union(fat))

    centres, outer, inner, kind = _glands(rng, normal, tumour)
    glandular = normal.union(tumour)
    vessels = _vessels(rng, glandular, centres, outer)
    cells = [
        normal_nuclei(rng, centres[kind == EPITHELIUM], outer[kind == EPITHELIUM]),
        tumour_nuclei(rng, *(each[kind == TUMOUR] for each in (centres, outer, inner))),
        stroma_nuclei(rng, glandular, centres, outer),
        red_cells(rng, vessels),
    ]
    has_lumen = inner.max(axis=1) > 3
    folded = fold_across(rng, tissue) if fold else Polygon()
    return Layout(
        tissue, tumour, fat, pen_area, blurred, folded,
        glands=_rings(centres, outer),
        apices=_rings(centres, 0.55 * inner + 0.45 * outer),
        lumina=_rings(centres, inner)[has_lumen],
        fat_cells=_fat_cells(rng, fat),
        vessels=vessels,
        cells=Cells(*(np.concatenate(column) for column in zip(*cells, strict=True))),
    )  # fmt: skip


# --- regions -----------------------------------------------------------------------------------


def _blob(
    rng: np.random.Generator, centre: NDArray[np.float64], radii: tuple[float, float]
) -> Polygon:
    """A closed curve of a few harmonics, with an edge that frays by some µm."""
    n = int(np.clip(np.pi * sum(radii) / 14, 32, 6000))
    angles = np.linspace(0, 2 * np.pi, n, endpoint=False)
    radius = np.ones(n)
    for k in range(2, 8):
        radius += rng.normal(0, 0.16 / k) * np.cos(k * angles + rng.uniform(0, 2 * np.pi))
    radius *= 1 + rng.normal(0, min(0.03, 2.5 / min(radii)), n)
    points = centre + np.stack([np.cos(angles), np.sin(angles)], 1) * radii * radius[:, None]
    return shapely.make_valid(Polygon(points)).buffer(0)


def _section(
    rng: np.random.Generator, centre: NDArray[np.float64], size_um: tuple[float, float]
) -> BaseGeometry:
    """The piece of tissue: a blob scaled to the box it is given."""
    blob = _blob(rng, centre, (size_um[0] / 2, size_um[1] / 2))
    minx, miny, maxx, maxy = blob.bounds
    factors = size_um[0] / (maxx - minx), size_um[1] / (maxy - miny)
    fitted = scale(blob, *factors, origin=blob.envelope.centroid)
    middle = fitted.envelope.centroid
    return shapely.affinity.translate(fitted, centre[0] - middle.x, centre[1] - middle.y)


def _patches_of(
    rng: np.random.Generator, tissue: BaseGeometry, n: int, share: float, at_edge: bool = False
) -> BaseGeometry:
    """Place `n` blobs within the tissue that together cover about `share` of it."""
    if n == 0:
        return Polygon()
    radius = float(np.sqrt(share * tissue.area / (np.pi * n)))
    if at_edge:
        centres = [tissue.boundary.interpolate(t, normalized=True) for t in rng.uniform(0, 1, n)]
        radius *= 1.3
    else:
        inner = tissue.buffer(-0.3 * radius)
        centres = list(_points_in(rng, inner if not inner.is_empty else tissue, n))
    blobs = [
        _blob(rng, np.array([c.x, c.y]), (radius * stretch, radius / stretch))
        for c, stretch in zip(centres, rng.uniform(0.8, 1.25, n), strict=True)
    ]
    return shapely.union_all(blobs).intersection(tissue)


def _points_in(rng: np.random.Generator, region: BaseGeometry, n: int) -> list[Point]:
    """Draw `n` points of the region, far from each other: the farthest of eight tries each."""
    minx, miny, maxx, maxy = region.bounds
    chosen: list[Point] = []
    for _ in range(n):
        tries = np.asarray(shapely.points(rng.uniform((minx, miny), (maxx, maxy), (64, 2))))
        tries = tries[shapely.within(tries, region)][:8]
        if not len(tries):
            tries = np.array([region.representative_point()])
        gaps = [min((t.distance(c) for c in chosen), default=0.0) for t in tries]
        chosen.append(tries[int(np.argmax(gaps))])
    return chosen


# --- glands, fat, vessels ----------------------------------------------------------------------


def _territories(points: Floats, limit_um: float) -> Floats:
    """Distance from each point to its Voronoi cell's border along `RAYS`, float32 [N, 48]."""
    if len(points) < 2:
        return np.full((len(points), len(RAYS)), limit_um, np.float32)
    _, near = cKDTree(points).query(points, k=min(12, len(points)))
    gap = points[near[:, 1:]] - points[:, None]  # N k 2
    along = gap @ RAYS.T  # N k 48
    reach = (gap**2).sum(-1, keepdims=True) / (2 * np.maximum(along, 1e-6))
    return np.asarray(np.minimum(reach.min(axis=1), limit_um), np.float32)


def _smooth(radius: Floats, harmonics: int) -> Floats:
    spectrum = np.fft.rfft(radius, axis=1)
    spectrum[:, harmonics + 1 :] = 0
    return np.asarray(np.fft.irfft(spectrum, n=radius.shape[1], axis=1), np.float32)


def _rings(centres: Floats, radius: Floats) -> Floats:
    return (centres[:, None] + RAYS * radius[..., None]).astype(np.float32)


def _hold_inside(centres: Floats, radius: Floats, region: BaseGeometry) -> Floats:
    """Draws outlines back to where they stay within the region; what is left tiny becomes 0."""
    inner = region.buffer(-2)
    shapely.prepare(inner)
    radius = radius.copy()
    points = shapely.points(centres)
    gap = shapely.distance(points, inner.boundary)  # NaN where nothing is left of the region
    near = np.flatnonzero(~(gap >= radius.max(initial=0)))
    for _ in range(12):
        outside = ~inside(inner, _rings(centres[near], radius[near]))
        if not outside.any():
            break
        near, outside = near[outside.any(1)], outside[outside.any(1)]
        shrunk = np.where(outside, radius[near] * 0.85, radius[near])
        radius[near] = np.minimum(shrunk, _smooth(shrunk, 8))
    else:
        radius[near] = 0
    radius[radius.mean(axis=1) < 16] = 0
    return radius


def _glands(
    rng: np.random.Generator, normal: BaseGeometry, tumour: BaseGeometry
) -> tuple[Floats, Floats, Floats, NDArray[np.int8]]:
    """Centres, outlines and lumina (as radii along `RAYS`) and kind of every gland."""
    region = normal.union(tumour)
    centres = lattice(rng, region, GLAND_SPACING_UM, 0.19)
    kind = np.where(inside(tumour, centres), TUMOUR, EPITHELIUM).astype(np.int8)
    cell = _territories(centres, 0.62 * GLAND_SPACING_UM)
    fill = rng.uniform(0.86, 0.96, len(centres)) * (1 - 0.13 * _drift(rng, centres).clip(0, 2))
    height = EPITHELIUM_UM * rng.uniform(0.85, 1.45, len(centres))
    height *= np.exp(0.28 * _drift(rng, centres))
    outer = _smooth(cell, 5) * fill[:, None].astype(np.float32) - 2
    lumen = np.maximum(outer - height[:, None], 0)
    ill = kind == TUMOUR
    outer[ill] = np.minimum(outer[ill] * _irregular(rng, ill.sum(), 0.09, 3, 11), cell[ill] - 1)
    outer = np.maximum(outer, 1)
    for zone, members in ((normal, ~ill), (tumour, ill)):
        outer[members] = _hold_inside(centres[members], outer[members], zone)
    lumen[ill] *= 1.05 * _irregular(rng, ill.sum(), 0.26, 2, 5)
    lumen = np.minimum(lumen, np.maximum(outer - np.where(ill, 11, 15)[:, None], 0))
    kept = outer.max(axis=1) > 0
    return centres[kept], outer[kept], lumen[kept].astype(np.float32), kind[kept]


def _drift(rng: np.random.Generator, points_um: Floats) -> NDArray[np.float64]:
    """A smooth random field of unit deviation that changes over some 150 µm, at the points."""
    waves = rng.normal(0, 2 * np.pi / 420, (12, 2))
    phases = points_um @ waves.T + rng.uniform(0, 2 * np.pi, 12)
    return np.asarray(np.cos(phases).sum(axis=1) / np.sqrt(6))


def _irregular(rng: np.random.Generator, n: int, size: float, low: int, high: int) -> Floats:
    """Factors [n, 48] that wobble an outline without changing the area it encloses."""
    factor = np.ones((n, len(ANGLES)))
    for k in range(low, high):
        height = rng.normal(0, size / np.sqrt(k - low + 1), (n, 1))
        factor += height * np.cos(k * ANGLES + rng.uniform(0, 2 * np.pi, (n, 1)))
    factor = np.maximum(factor, 0.15)
    return np.asarray(factor / np.sqrt((factor**2).mean(axis=1, keepdims=True)), np.float32)


def _fat_cells(rng: np.random.Generator, fat: BaseGeometry) -> Floats:
    centres = lattice(rng, fat, FAT_SPACING_UM, 0.1)
    radius = _smooth(_territories(centres, 0.65 * FAT_SPACING_UM), 9) * 0.95 - 0.8
    radius = _hold_inside(centres, radius, fat)
    return np.asarray(_rings(centres, radius)[radius.max(axis=1) > 0])


def _vessels(
    rng: np.random.Generator, region: BaseGeometry, centres: Floats, outer: Floats
) -> Floats:
    """Capillaries in the stroma between glands, as rings."""
    points = lattice(rng, region, 2.1 * GLAND_SPACING_UM, 0.3)
    depth = depth_in(points, centres, outer)[0]
    shapely.prepare(region)
    points = points[depth < -6]
    radius = np.minimum(-depth[depth < -6] - 1.5, rng.uniform(5, 12, len(points)))
    radius = radius[:, None] * _irregular(rng, len(points), 0.15, 2, 4)
    rings = _rings(points, radius)
    return np.asarray(rings[inside(region, rings).all(axis=1)])
