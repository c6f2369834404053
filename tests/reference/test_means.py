"""Means without some rows, from sums."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from histocnn.reference.means import Means
from tests.feature_files import stored_rows


def test_of_what_remains(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(5, 1, (90, 3)).astype(np.float32)
    means = Means(stored_rows(tmp_path, np.split(x, [20, 70])), 16)
    np.testing.assert_allclose(means.of_all, x.astype(np.float64).mean(0), rtol=1e-12)
    excluded = [np.arange(0), np.arange(10, 60), np.array([3, 40, 89]), np.arange(89)]
    expected = [np.delete(x.astype(np.float64), rows, axis=0).mean(0) for rows in excluded]
    np.testing.assert_allclose(means.without(excluded), expected, rtol=1e-9)
