"""Features as points: in place, whatever the precision; what has no direction stays where it is."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.reference.points import to_points


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_centred_then_scaled(dtype: type) -> None:
    points = np.array([[4, 5], [1, 1], [1, 3]], dtype)
    to_points(points, np.array([1, 1], dtype), scaled=True)
    np.testing.assert_allclose(points, [[0.6, 0.8], [0, 0], [0, 1]], rtol=1e-6)
    assert points.dtype == dtype


def test_each_by_a_mean_of_its_own_or_not_at_all() -> None:
    points = np.array([[4.0, 5], [1, 1]])
    to_points(points, np.array([[4.0, 4], [0, 1]]), scaled=False)
    assert points.tolist() == [[0, 1], [1, 0]]
    to_points(points, None, scaled=False)
    assert points.tolist() == [[0, 1], [1, 0]]
