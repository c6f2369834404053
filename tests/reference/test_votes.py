"""Votes as scikit-learn counts them; a smaller k needs no second search."""

from __future__ import annotations

import numpy as np

from histocnn.reference.neighbours import Knn, Reference
from histocnn.reference.votes import scores_by_k, vote

RNG = np.random.default_rng(0)
REFERENCE = RNG.normal(3, 1, (400, 16)).astype(np.float32)
LABELS = RNG.integers(0, 3, 400)
QUERIES = RNG.normal(3, 1, (50, 16)).astype(np.float32)
ALONE = np.full((400, 2), -1)
FREE = np.full((50, 2), -1)


def test_votes_by_distance() -> None:
    labels = np.array([[0, 1, 1], [0, 1, 1], [-1, -1, -1]])
    distances = np.array([[1, 2, 4], [0, 0, 1], [1, 1, 1]], np.float32)
    scores = vote(labels, distances, 2, "distance")
    np.testing.assert_allclose(scores[0], [1 / 1.75, 0.75 / 1.75], rtol=1e-6)
    assert scores[1].tolist() == [0.5, 0.5]  # where distances are 0 only those count
    assert np.isnan(scores[2]).all()
    np.testing.assert_allclose(vote(labels[:1], distances[:1], 2, "uniform"), [[1 / 3, 2 / 3]])


def test_curve_over_k_needs_no_second_search() -> None:
    large = Reference(REFERENCE, ALONE, Knn(20)).search(QUERIES, FREE)
    curve = dict(scores_by_k(LABELS[large.rows], large.distances, 3, "distance"))
    assert list(curve) == [1, 2, 5, 10, 20]
    small = Reference(REFERENCE, ALONE, Knn(5)).search(QUERIES, FREE)
    np.testing.assert_array_equal(
        curve[5], vote(LABELS[small.rows], small.distances, 3, "distance")
    )
