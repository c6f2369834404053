"""Detections: points of one slide, as CAMELYON16's evaluation takes them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.errors import MetricError

Floats = NDArray[np.float64]

LONGEST_LINE = 10_000  # characters
ROUNDING = 1e-9  # of a distance: a grid's stride as the radius must reach every neighbour


class Detections(NamedTuple):
    """Points of one slide: probability [D] and (x, y) in level-0 pixels [D, 2]."""

    prob: Floats
    xy_l0: Floats


def detections(
    xy_l0: ArrayLike,
    prob: ArrayLike,
    slide_mpp: tuple[float, float],
    *,
    radius_um: float,
    min_prob: float,
) -> Detections:
    """Keep the local maxima: the most probable patch first, none other within its radius.

    Args:
        xy_l0: float [N, 2]: patch centres (x, y).
        prob: float [N]; NaN takes no part.
        slide_mpp: (x, y) µm per level-0 pixel.
        radius_um: Patches at most this far from a kept one are suppressed.
        min_prob: Patches below it are no detections.

    Returns:
        Detections, the most probable first; of equals the first given.
    """
    from scipy.spatial import KDTree

    xy_l0, prob = np.asarray(xy_l0, np.float64).reshape(-1, 2), np.asarray(prob, np.float64)
    candidates = np.flatnonzero(prob >= min_prob)
    candidates = candidates[np.argsort(-prob[candidates], kind="stable")]
    if not len(candidates):
        return Detections(np.empty(0), np.empty((0, 2)))
    points_um = xy_l0[candidates] * slide_mpp
    tree = KDTree(points_um)
    free = np.ones(len(candidates), bool)
    kept = []
    for i in range(len(candidates)):
        if free[i]:
            kept.append(candidates[i])
            free[tree.query_ball_point(points_um[i], radius_um * (1 + ROUNDING))] = False
    return Detections(prob[kept], xy_l0[kept])


def lines_of(path: Path) -> list[str]:
    """The lines of a UTF-8 table, for the csv module.

    Raises:
        MetricError: It cannot be read, is not UTF-8, or a line is longer than any value.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MetricError(f"{path}: cannot be read ({error})", "Save it as CSV UTF-8.") from error
    for number, line in enumerate(lines, start=1):
        if "\0" in line or len(line) > LONGEST_LINE or line.count('"') % 2:
            raise MetricError(f"{path}: line {number} is not CSV", "Save it as CSV UTF-8.")
    return lines


def read_detections(path: Path) -> Detections:
    """Read `p,x,y` lines in level-0 pixels, as the challenge takes them; a header is skipped.

    Raises:
        MetricError: The file is no such table.
    """
    rows: list[tuple[float, float, float]] = []
    for number, row in enumerate(csv.reader(lines_of(path)), start=1):
        try:
            p, x, y = (float(value) for value in row[:3])
        except ValueError:
            if number == 1 or not any(row):
                continue
            raise MetricError(
                f"{path}, line {number}: {','.join(row)!r} is not p,x,y",
                "Give a probability and level-0 coordinates per line.",
            ) from None
        rows.append((p, x, y))
    table = np.array(rows, np.float64).reshape(-1, 3)
    if not np.isfinite(table).all():
        raise MetricError(f"{path} holds values that are not finite", "Remove these detections.")
    return Detections(table[:, 0], table[:, 1:])
