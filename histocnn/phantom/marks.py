"""What spoils a phantom's section: strokes of a pen over it, and folds of it, as outlines in µm."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString
from shapely.geometry.base import BaseGeometry

FOLD_SHARE = 0.04  # a fold's width, of the tissue's shorter side


def pen_strokes(
    rng: np.random.Generator, centre: NDArray[np.float64], tissue_um: tuple[float, float]
) -> BaseGeometry:
    """A ring drawn half around the section and a tick beside it, as thick as a felt tip."""
    width = min(tissue_um) / 20
    start = rng.uniform(0, 2 * np.pi)
    turn = np.linspace(0, 1.2 * np.pi, 160)
    angles = start + turn
    wobble = 0.95 + rng.normal(0, 0.03, 4) @ np.sin(np.outer((1, 2, 3, 5), turn))
    half = np.array(tissue_um) / 2
    ring = centre + np.stack([np.cos(angles), np.sin(angles)], 1) * half * wobble[:, None]
    side = -np.sign(np.cos(start + 0.6 * np.pi)) or 1.0
    corner = centre + half * (side, 1.0) * 0.92
    tick = corner + np.array([(-2.2, -1.2), (-0.8, 0.6), (2.0, -3.0)]) * width
    return shapely.union_all(
        [LineString(ring).buffer(width / 2), LineString(tick).buffer(width / 2)]
    )


def fold_across(rng: np.random.Generator, tissue: BaseGeometry) -> BaseGeometry:
    """A wavy strip across the middle of the section, in which it lies double."""
    minx, miny, maxx, maxy = tissue.bounds
    reach, width = max(maxx - minx, maxy - miny), FOLD_SHARE * min(maxx - minx, maxy - miny)
    along = np.linspace(-1, 1, 80)
    across = 0.05 * np.sin(4 * along + rng.uniform(0, 2 * np.pi)) + rng.uniform(-0.15, 0.15)
    turn = rng.uniform(0, np.pi)
    axes = np.array([(np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))])
    points = np.array([(minx + maxx) / 2, (miny + maxy) / 2]) + reach * (
        np.stack([along, across], axis=1) @ axes
    )
    return LineString(points).buffer(width / 2).intersection(tissue)
