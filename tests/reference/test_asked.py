"""Distances in double precision: the definition's, 0 for equal rows, equal for equal rows."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.reference.asked import Asked
from histocnn.reference.neighbours import Knn


@pytest.mark.parametrize("knn", [Knn(1), Knn(1, "euclidean", center=False)])
def test_pair_by_pair(knn: Knn) -> None:
    rng = np.random.default_rng(0)
    x, q = (rng.normal(2, 1, (n, 7)).astype(np.float32) for n in (30, 6))
    q[0] = x[4]
    group = np.array([0, 0, 0, 1, 1, 1])
    means = rng.normal(size=(2, 7)) if knn.center else None
    asked = Asked.of(q, group, [np.arange(0)] * 2, np.full(6, -1), means, knn)
    query, at = np.repeat(np.arange(6), 30), np.tile(np.arange(30), 6)
    found = asked.distances(query, x, at).reshape(6, 30)
    a, b = q.astype(np.float64)[:, None], np.repeat(x.astype(np.float64)[None], 6, 0)
    if means is not None:
        a, b = a - means[group][:, None], b - means[group][:, None]
        a, b = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (a, b))
    np.testing.assert_allclose(found, np.linalg.norm(a - b, axis=2), rtol=1e-6)
    assert found[0, 4] == 0
    chosen = asked.only(np.array([2, 5]))
    assert chosen.runs(0, 2)[0].tolist() == [0, 1]
    assert chosen.runs(0, 2)[1] == [0, 1, 2]
    again = chosen.distances(np.array([1]), x, np.array([3]))
    assert again[0] == found[5, 3]
