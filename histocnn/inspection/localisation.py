"""How right a map is, where the true region is known: does it point there, and how much lies in it?

Pointing game: Zhang et al., "Top-down neural attention by excitation backprop", 2016, without their
tolerance of 15 px. Energy inside: Wang et al., "Score-CAM", 2020. Both mean little without what
chance gives, and without the centre pixel, which hits whatever photographers and tilers centre.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from histocnn.errors import UsageError
from histocnn.inspection.maps import enlarged, undefined
from histocnn.metrics.intervals import bootstrap
from histocnn.regions.raster import rasterise

CHANCE, CENTRE = "chance", "the centre pixel"
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Pointing:
    """What one method does on images whose true region is known.

    Attributes:
        method: Its name, `chance`, or `the centre pixel`.
        images: Those with a map that says anything.
        undefined: Images whose map has nothing above 0; they are in no figure.
        hit: Share of images whose highest pixel lies in the region.
        energy: Mean share of the map's positive part that lies in it; None of the centre pixel.
        coverage: Mean share of the image that the region covers.
        gain: hit - coverage: what chance would not give.
        bounds: Of 95 %, by `hit`, `energy` and `gain`, slides resampled; empty where `note` says
            why.
        note: About the bounds.
    """

    method: str
    images: int
    undefined: int
    hit: float
    energy: float | None
    coverage: float
    gain: float
    bounds: Mapping[str, Bounds]
    note: str


def pointing(
    maps: Mapping[str, NDArray[np.float32]], truth: Bools, slides: Sequence[str]
) -> list[Pointing]:
    """Score maps against the true region of each image.

    Args:
        maps: Of each method float [B, h, w], of any size; enlarged to the images'.
        truth: bool [B, H, W], the region's pixels.
        slides: The slide of each image, which intervals resample.

    Returns:
        One per method, then `chance` and `the centre pixel`. Chance points to a random pixel: its
        hit rate and its energy are the coverage.

    Raises:
        UsageError: Maps, truth and slides are not of as many images, or an image has no region.
    """
    count = len(truth)
    counts = [len(slides), *(len(m) for m in maps.values())]
    if not count or any(other != count for other in counts):
        raise UsageError(
            f"{count} images of known truth, {len(slides)} slides, and maps of "
            f"{', '.join(str(len(m)) for m in maps.values())}",
            "Give one of each per image.",
        )
    coverage: Floats = truth.mean(axis=(1, 2), dtype=np.float64)
    if not coverage.all():
        raise UsageError(
            f"{np.count_nonzero(coverage == 0)} images have nothing of the region to point at",
            "Leave them out.",
        )
    names = sorted(set(slides))
    group = np.array([names.index(slide) for slide in slides])
    found = []
    for name, values in maps.items():
        hit, energy = hits_and_energy(values, truth)
        found.append(_figures(name, hit, energy, coverage, group))
    found.append(_figures(CHANCE, coverage, coverage, coverage, group))
    centre = _centre(truth)
    found.append(_figures(CENTRE, centre, None, coverage, group))
    return found


def hits_and_energy(maps: NDArray[np.float32], truth: Bools) -> tuple[Floats, Floats]:
    """Of each map [B, h, w]: whether its highest pixel lies in the truth [B, H, W], and its energy.

    Of several equally high pixels the share that lies in it. NaN where a map is undefined.
    """
    hit, energy = np.full(len(maps), np.nan), np.full(len(maps), np.nan)
    for row in np.flatnonzero(~undefined(maps)):
        positive = np.maximum(maps[row : row + 1], 0)
        large = enlarged(positive, (truth.shape[1], truth.shape[2]))[0].astype(np.float64)
        hit[row] = truth[row][large == large.max()].mean()
        energy[row] = large[truth[row]].sum() / large.sum()
    return hit, energy


def masks_of(region: BaseGeometry, boxes_l0: NDArray[np.float64], shape: tuple[int, int]) -> Bools:
    """The pixels of images that a region covers.

    Args:
        region: Polygons in level-0 px of the slide.
        boxes_l0: float64 [N, 4], minx, miny, maxx, maxy of the images, level-0 px.
        shape: (rows, cols) of each image.

    Returns:
        bool [N, rows, cols]: the pixel's centre lies in the region.
    """
    masks = np.zeros((len(boxes_l0), *shape), bool)
    for mask, box in zip(masks, boxes_l0, strict=True):
        left, top, right, bottom = box
        part = shapely.clip_by_rect(region, left, top, right, bottom)
        pixel = ((right - left) / shape[1], (bottom - top) / shape[0])
        at_origin = translate(part, -left, -top)
        areas = [p for p in shapely.get_parts(at_origin) if isinstance(p, shapely.Polygon)]
        if areas:  # a region that only touches the box leaves points and lines
            mask[:] = rasterise(shapely.MultiPolygon(areas), shape, pixel)
    return masks


def _centre(truth: Bools) -> Floats:
    """Whether the middle of each image lies in the region; of an even side the middle four."""
    rows, cols = ({(n - 1) // 2, n // 2} for n in truth.shape[1:])
    middle: Floats = truth[:, sorted(rows)][:, :, sorted(cols)].mean(axis=(1, 2))
    return middle


def _figures(
    name: str, hit: Floats, energy: Floats | None, coverage: Floats, group: NDArray[np.int64]
) -> Pointing:
    defined = ~np.isnan(hit)
    columns = {"hit": hit, "gain": hit - coverage}
    if energy is not None:
        columns["energy"] = energy
    kept = {key: np.where(defined, column, 0) for key, column in columns.items()}

    def means(weights: Floats) -> dict[str, Floats]:
        of_image = weights[:, group] * defined
        total = of_image.sum(axis=1)
        return {
            key: (of_image @ column) / np.where(total, total, np.nan)
            for key, column in kept.items()
        }

    present = np.zeros((group.max() + 1, 1))
    present[group[defined]] = 1
    within = bootstrap(means, present)
    once = {key: float(v[0]) for key, v in means(np.ones((1, len(present)))).items()}
    return Pointing(
        name,
        images=int(defined.sum()),
        undefined=int((~defined).sum()),
        hit=once["hit"],
        energy=once.get("energy"),
        coverage=float(coverage[defined].mean()) if defined.any() else float("nan"),
        gain=once["gain"],
        bounds=within.bounds,
        note=within.note.replace("patient", "slide"),
    )
