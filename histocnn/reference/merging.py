"""The best of each query so far, joined with what a block adds."""

from __future__ import annotations

import numpy as np

from histocnn.reference.neighbours import UNKNOWN, Float, Int


class Best:
    """Of each query the `width` reference rows of least cost that were offered.

    Args:
        queries: T.
        width: W.

    Attributes:
        cost: float32 [T, W], rising; infinite where fewer were offered.
        rows: int64 [T, W]; -1 there. Of equal costs the smaller row comes first.
    """

    def __init__(self, queries: int, width: int) -> None:
        self.cost = np.full((queries, width), np.inf, np.float32)
        self.rows = np.full((queries, width), UNKNOWN, np.int64)

    def offer(self, query: Int, row: Int, cost: Float) -> None:
        """Take what is better than what is there.

        Args:
            query: int64 [P], in any order.
            row: int64 [P], never one that was offered to this query before.
            cost: float32 [P].
        """
        if not len(query):
            return
        width = self.cost.shape[1]
        touched = np.unique(query)
        whose = np.concatenate([np.repeat(touched, width), query])
        costs = np.concatenate([self.cost[touched].ravel(), cost])
        rows = np.concatenate([self.rows[touched].ravel(), row])
        order = np.lexsort((rows, costs, whose))
        begin = np.searchsorted(whose[order], touched)
        best = order[begin[:, None] + np.arange(width)]
        self.cost[touched] = costs[best]
        self.rows[touched] = rows[best]
