"""How sure an operating point's threshold is: bootstrap over the patients it was chosen on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histocnn.metrics.calibration import between, chosen
from histocnn.metrics.intervals import FEWEST, LEVEL, draw

if TYPE_CHECKING:
    from histocnn.metrics.patch import Groups

STEPS = 4096  # of a score; more distinct ones are grouped by rank, to 1 part in 4,096 of patches
AT_ONCE = 64  # replicates in memory together


def bounds(
    score: NDArray[np.float32], positive: NDArray[np.bool_], groups: Groups
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of 95 % of the thresholds that `operating_points` chooses.

    Args:
        score: float32 [N], of one class, no NaN.
        positive: bool [N].
        groups: The patients, all known; their replicates and seed; 0 replicates: no bounds.

    Returns:
        {point: (low, high)}; empty below five patients, or where a side is too rare to be drawn.
    """
    group = groups.numbers
    n = int(group.max(initial=-1)) + 1
    if n < FEWEST or not groups.replicates or not positive.any() or positive.all():
        return {}
    step, at_least = _steps(score)
    sides = [
        np.bincount(group[mask] * len(at_least) + step[mask], minlength=n * len(at_least)).reshape(
            n, -1
        )
        for mask in (positive, ~positive)
    ]  # each [G, B]
    presence = np.stack([side.sum(axis=1) for side in sides], axis=1)
    drawn, _ = draw(presence, replicates=groups.replicates, seed=groups.seed)
    if len(drawn) < groups.replicates:
        return {}
    limits = between(np.append(np.nextafter(at_least[0], np.float32(np.inf)), at_least))
    found: dict[str, list[NDArray[np.float32]]] = {}
    for i in range(0, len(drawn), AT_ONCE):
        weights = drawn[i : i + AT_ONCE].astype(np.float64)
        tp, fp = (np.pad(np.cumsum(weights @ side, axis=1), ((0, 0), (1, 0))) for side in sides)
        sensitivity, specificity = tp / tp[:, -1:], 1 - fp / fp[:, -1:]
        for point, at in chosen(sensitivity, specificity).items():
            found.setdefault(point, []).append(limits[at])
    tail = 100 * (1 - LEVEL) / 2
    return {
        point: tuple(np.percentile(np.concatenate(own), (tail, 100 - tail)).tolist())
        for point, own in found.items()
    }


def _steps(score: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The step of each score, from the highest down, and the least score of each step."""
    order = np.argsort(score)[::-1]
    falling = score[order]
    first = np.flatnonzero(np.diff(falling, prepend=np.inf))  # of each run of equal scores
    step_of_run = np.arange(len(first))
    if len(first) > STEPS:
        step_of_run = np.unique(first * STEPS // len(score), return_inverse=True)[1]
    step = np.empty(len(score), np.int64)
    step[order] = np.repeat(step_of_run, np.diff(first, append=len(score)))
    least = np.flatnonzero(np.diff(step[order], append=-1))
    return step, falling[least].astype(np.float64)
