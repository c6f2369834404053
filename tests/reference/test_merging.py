"""The best of all that was offered, whatever came when."""

from __future__ import annotations

import numpy as np

from histocnn.reference.merging import Best


def test_the_least_costs_and_then_the_smaller_rows() -> None:
    rng = np.random.default_rng(0)
    cost = rng.integers(0, 9, (5, 40)).astype(np.float32)
    best = Best(5, 6)
    for rows in np.split(rng.permutation(40), [1, 9, 30]):
        query, row = np.repeat(np.arange(5), len(rows)), np.tile(rows, 5)
        mixed = rng.permutation(len(query))
        best.offer(query[mixed], row[mixed], cost[query, row][mixed])
    for i in range(5):
        expected = np.lexsort([np.arange(40), cost[i]])[:6]
        assert best.rows[i].tolist() == expected.tolist()
        assert best.cost[i].tolist() == cost[i][expected].tolist()


def test_fewer_than_asked_leave_places_empty() -> None:
    best = Best(2, 3)
    best.offer(np.array([1]), np.array([7]), np.array([2.0], np.float32))
    best.offer(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    assert best.rows.tolist() == [[-1, -1, -1], [7, -1, -1]]
    assert best.cost[1].tolist() == [2, np.inf, np.inf]
