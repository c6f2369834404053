"""Votes as scikit-learn counts them; a smaller k needs no second search."""

from __future__ import annotations

import numpy as np

from histocnn.reference.votes import scores_by_k, vote


def test_votes_by_distance() -> None:
    labels = np.array([[0, 1, 1], [0, 1, 1], [-1, -1, -1]])
    distances = np.array([[1, 2, 4], [0, 0, 1], [1, 1, 1]], np.float32)
    scores = vote(labels, distances, 2, "distance")
    np.testing.assert_allclose(scores[0], [1 / 1.75, 0.75 / 1.75], rtol=1e-6)
    assert scores[1].tolist() == [0.5, 0.5]  # where distances are 0 only those count
    assert np.isnan(scores[2]).all()
    np.testing.assert_allclose(vote(labels[:1], distances[:1], 2, "uniform"), [[1 / 3, 2 / 3]])


def test_curve_over_k_needs_no_second_search() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (50, 30))
    distances = np.sort(rng.random((50, 30), np.float32))
    curve = dict(scores_by_k(labels, distances, 3, "distance"))
    assert list(curve) == [1, 2, 5, 10, 20, 30]
    for k, scores in curve.items():
        weight = 1 / distances[:, :k].astype(np.float64)
        share = (
            (labels[:, :k, None] == np.arange(3)) * weight[..., None] / weight.sum(1)[:, None, None]
        )
        np.testing.assert_allclose(scores, share.sum(1), rtol=1e-5)
