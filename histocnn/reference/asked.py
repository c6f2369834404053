"""Queries as the metric sees them, and how far rows are from them in double precision."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from histocnn.reference.neighbours import Float, Int, Knn
from histocnn.reference.points import to_points

Double = NDArray[np.float64]

_CACHED = 1 << 16  # values that are measured at a time


@dataclass(frozen=True, eq=False)
class Asked:
    """Some queries, those that are kept from the same rows side by side.

    Attributes:
        queries: float32 [T, D].
        group: int64 [T], which rows each is kept from, rising.
        excluded: Of each group its rows, rising.
        own: int64 [T], the row that is the query itself, -1 none.
        means: float64 [G, D], of the rows that each group is compared with; None: they do not
            matter.
        scaled: Lengths do not matter.
        points: float64 [T, D], the queries as the metric sees them.
    """

    queries: Float
    group: Int
    excluded: list[Int]
    own: Int
    means: Double | None
    scaled: bool
    points: Double

    @classmethod
    def of(
        cls, queries: Float, group: Int, excluded: list[Int], own: Int, means: Double | None,
        knn: Knn,
    ) -> Asked:  # fmt: skip
        """Place the queries as `knn` says."""
        points = queries.astype(np.float64)
        to_points(points, None if means is None else means[group], scaled=knn.scaled)
        return cls(queries, group, excluded, own, means, knn.scaled, points)

    def __len__(self) -> int:
        return len(self.queries)

    def only(self, chosen: Int) -> Asked:
        """These queries, rising, of the same groups."""
        return replace(
            self,
            queries=self.queries[chosen],
            group=self.group[chosen],
            own=self.own[chosen],
            points=self.points[chosen],
        )

    def runs(self, first: int, last: int) -> tuple[Int, list[int]]:
        """The groups of these queries, and where among them each begins, with the end."""
        groups, begin = np.unique(self.group[first:last], return_index=True)
        return groups, [*begin.tolist(), last - first]

    def distances(self, query: Int, rows: Float, at: Int) -> Float:
        """How far rows are from queries, pair by pair.

        Equal rows are equally far, a row that is the query is 0 away.

        Args:
            query: int64 [P], which query.
            rows: float32 [R, D].
            at: int64 [P], which of these rows.

        Returns:
            float32 [P], Euclidean.
        """
        found = np.empty(len(query), np.float32)
        step = max(1, _CACHED // self.queries.shape[1])
        for i in range(0, len(query), step):
            own, which = query[i : i + step], at[i : i + step]
            mean = None if self.means is None else self.means[self.group[own]]
            apart = rows[which].astype(np.float64)
            to_points(apart, mean, scaled=self.scaled)
            apart -= self.points[own]
            found[i : i + step] = np.sqrt(np.einsum("pd,pd->p", apart, apart))
        return found
