"""Features as points, whose Euclidean distance orders the neighbours whatever the metric.

>>> points = np.array([[4.0, 5.0], [1.0, 1.0]])
>>> to_points(points, np.array([1.0, 1.0]), scaled=True)
>>> points.tolist()
[[0.6, 0.8], [0.0, 0.0]]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_points(points: NDArray[Any], mean: NDArray[Any] | None, *, scaled: bool) -> None:
    """Make features points, in place and in their own precision.

    Args:
        points: float32 or float64 [N, D].
        mean: [D] or [N, D], subtracted first; None: nothing is.
        scaled: Bring them to length 1 then; what has no length stays 0.
    """
    if mean is not None:
        points -= mean
    if scaled:
        length = np.sqrt(np.einsum("nd,nd->n", points, points))[:, None]
        np.divide(points, length, out=points, where=length > 0)
