"""How often outlines cross themselves, counted no further than it matters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

PAIRS_AT_A_TIME = 1 << 18  # of segments whose boxes meet
MANY_PAIRS = 5_000_000  # boxes that meet where little crosses: hatching; 5 s to look at


def count_crossings(rings: Sequence[NDArray[np.float64]], most: int) -> int:
    """Crossings of the segments of rings, each pair once; ends once there are more than `most`.

    What a self-crossing polygon costs to repair grows with them, not with its corners: 0.1 ms each.

    Args:
        rings: float64 [n, 2] each, (x, y); the last point is joined to the first.
        most: Where to stop.

    Returns:
        The number, or any number above `most`.
    """
    ends = np.concatenate([np.stack([r, np.roll(r, -1, axis=0)], axis=1) for r in rings])
    segments = np.asarray(shapely.linestrings(ends), dtype=object)  # [n]
    tree = shapely.STRtree(segments)
    step, found, pairs = max(1, PAIRS_AT_A_TIME // len(segments)), 0, 0
    for start in range(0, len(segments), step):
        a, b = tree.query(segments[start : start + step])
        a, b = (a + start)[a + start < b], b[a + start < b]
        pairs += len(a)
        found += int(shapely.crosses(segments[a], segments[b]).sum())
        if found > most or pairs > MANY_PAIRS:
            return max(found, most + 1)
    return found
