"""The nearest labelled patches of every patch of a slide, kept while labels come one by one.

Points are placed once (`place`), so that a further label costs one column of distances and not a
search: 20,000 patches need some hundredths of a second.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from histocnn.reference.neighbours import Knn
from histocnn.reference.points import to_points

Float: TypeAlias = NDArray[np.float32]
Int: TypeAlias = NDArray[np.int64]

NOBODY = -1
_SAME = 1e-6  # of the squared lengths; nearer than float32 can tell from the same
_ROWS = 4096  # at a time, so that a block of distances stays in the cache
_COLUMNS = 512


def place(features: Float, centre: Float | None, knn: Knn) -> Float:
    """Features [N, D] as points whose Euclidean distance orders the neighbours, as `knn` has them.

    Args:
        features: float32 [N, D], finite; not changed.
        centre: float32 [D], subtracted first; None: nothing is.
        knn: Says whether rows are scaled to length 1 then.
    """
    points = np.array(features, np.float32)
    to_points(points, centre, scaled=knn.scaled)
    return points


class Nearest:
    """Of each of N points the nearest of others that are added.

    Args:
        points: float32 [N, D], as `place` makes them.
        knn: The metric, and how many are kept: one more than k, so that a point which has been
            added itself still has k others.

    Attributes:
        ids: int64 [N, at most k + 1], nearest first, of equal distances the one added first;
            `NOBODY` where fewer were added.
    """

    def __init__(self, points: Float, knn: Knn) -> None:
        self.points = points
        self.knn = knn
        self._lengths = _squares(points)
        self.ids: Int = np.empty((len(points), 0), np.int64)
        self._squared: Float = np.empty((len(points), 0), np.float32)

    def copy(self) -> Nearest:
        """The same as it stands now; what is added to one is not added to the other."""
        other = object.__new__(Nearest)
        other.__dict__ |= self.__dict__  # `add` replaces its arrays and changes none
        return other

    def add(self, others: Float, ids: Int) -> None:
        """Take further points [M, D] into account, under their numbers int64 [M]."""
        for start in range(0, len(others), _COLUMNS):
            self._add(others[start : start + _COLUMNS], ids[start : start + _COLUMNS])

    @property
    def distances(self) -> Float:
        """float32 [N, at most k + 1], as the metric says: cosine or Euclidean."""
        return _as_metric(self._squared, self.knn)

    def _add(self, others: Float, ids: Int) -> None:
        kept = min(self.knn.k + 1, self.ids.shape[1] + len(ids))
        squared = np.empty((len(self.points), kept), np.float32)
        found = np.empty((len(self.points), kept), np.int64)
        lengths = _squares(others)
        for start in range(0, len(self.points), _ROWS):
            rows = slice(start, start + _ROWS)
            apart = _apart(self.points[rows], self._lengths[rows], others, lengths)
            names = np.broadcast_to(ids, apart.shape)
            if len(ids) > kept:  # only these can be among them; in the order in which they came
                least = np.sort(np.argpartition(apart, kept - 1, axis=1)[:, :kept], axis=1)
                apart, names = np.take_along_axis(apart, least, 1), ids[least]
            apart = np.hstack([self._squared[rows], apart])
            order = np.argsort(apart, axis=1, kind="stable")[:, :kept]
            squared[rows] = np.take_along_axis(apart, order, 1)
            found[rows] = np.take_along_axis(np.hstack([self.ids[rows], names]), order, 1)
        self._squared, self.ids = squared, found


def distances_between(points: Float, others: Float, knn: Knn) -> Float:
    """Distances float32 [N, M] of points to others, as the metric says."""
    return _as_metric(_apart(points, _squares(points), others, _squares(others)), knn)


def _squares(points: Float) -> Float:
    squares: Float = np.einsum("nd,nd->n", points, points)
    return squares


def _apart(points: Float, lengths: Float, others: Float, their_lengths: Float) -> Float:
    """Squared distances [N, M]; 0 where rounding cannot tell. In place: there are many."""
    apart: Float = points @ (-2 * others).T
    apart += their_lengths
    apart += lengths[:, None]
    limit = _SAME * (lengths[:, None] + their_lengths.max(initial=0))
    np.multiply(apart, apart >= limit, out=apart)
    return apart


def _as_metric(squared: Float, knn: Knn) -> Float:
    if knn.metric == "cosine":  # |a - b|² / 2 = 1 - cos of unit vectors
        return np.float32(0.5) * squared
    return np.sqrt(squared)
