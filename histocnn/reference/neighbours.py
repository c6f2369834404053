"""k-nearest neighbours: who they are, and how far away is far.

Brute force by scikit-learn, which neither trains nor approximates. Arrays only: rows of a
reference with labels, rows of a query, and the groups (patient, slide) of each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import FeaturesError
from histocnn.jobs.ranges import PositiveInt, check_ranges
from histocnn.reference.excluded import Exclusions
from histocnn.reference.points import to_points

Float = NDArray[np.float32]
Int = NDArray[np.int64]
Metric = Literal["cosine", "euclidean"]
Weights = Literal["uniform", "distance"]

UNKNOWN = -1
LEVELS = ("patient", "slide", "patch")
_SPARE = 4  # candidates beyond k, so that a tie at the k-th place is seen
_BLOCK_VALUES = 1 << 18  # of candidates that are compared exactly at a time: 1 MB, for the cache
_CALIBRATION_ROWS = 5_000  # a percentile to within 1.4 points (95 %)
_CALIBRATION_GROUPS = 50  # each is a reference of its own


@dataclass(frozen=True)
class Knn:
    """How neighbours are found and counted.

    Attributes:
        k: Number of neighbours.
        metric: `cosine`: 1 - cosine of the angle; or `euclidean`.
        weights: Votes count equally, or by 1 / distance.
        center: The reference's mean is subtracted first.
        normalise: Rows are scaled to length 1 (after centring) before a Euclidean distance.
    """

    k: PositiveInt = 20
    metric: Metric = "cosine"
    weights: Weights = "distance"
    center: bool = True
    normalise: bool = False

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def scaled(self) -> bool:
        """Whether rows are brought to length 1."""
        return self.normalise or self.metric == "cosine"


UNI = Knn(20, "euclidean", "uniform", center=True, normalise=True)
"""The 20-NN of UNI's published evaluation: centred, L2-normalised, Euclidean, uniform votes."""


class Neighbours(NamedTuple):
    """Of each query the k nearest reference rows, nearest first.

    Attributes:
        rows: int64 [N, k].
        distances: float32 [N, k].
    """

    rows: Int
    distances: Float


class Rows(Protocol):
    """Rows of features, finite, wherever they are."""

    def __getitem__(self, rows: Int, /) -> Float:
        """Those of these numbers int64 [M], as float32 [M, D]."""
        ...


class Searched(ABC):
    """Labelled rows to be compared with, however they are searched.

    Attributes:
        features: N rows.
        groups: int64 [N, 2], codes of (patient, slide); -1 unknown.
        knn: How neighbours are found.
        said: What is to be said of the last search.
    """

    features: Rows
    groups: Int
    knn: Knn
    said: tuple[str, ...] = ()

    def compare(self, queries: Float, groups: Int, own: Int, nearest: Neighbours) -> None:
        """Compare what `search` found with exact neighbours, where these are others; see `said`."""
        self.said = ()

    @abstractmethod
    def search(self, queries: Float, groups: Int, own: Int | None = None) -> Neighbours:
        """The k nearest reference rows of each query that share no known group with it.

        Mean and scale are those of the rows that remain.

        Args:
            queries: float32 [M, D].
            groups: int64 [M, 2]; -1 excludes nothing.
            own: int64 [M], the reference row that is the query itself, -1 none: never returned.

        Raises:
            FeaturesError: Fewer than k rows remain.
        """

    @cached_property
    def exclusions(self) -> Exclusions:
        """Who is kept from whom."""
        return Exclusions(self.groups)

    @cached_property
    def calibration(self) -> tuple[str, Float]:
        """What is left out, and sorted distances of reference rows to their k-th neighbour.

        Left out is each row's own "patient" (its slide where the patient is unknown, else the
        patch itself); where fewer than k rows would remain, its "slide", else the "patch".

        Raises:
            FeaturesError: The reference has no more than k rows.
        """
        for level, left_out in enumerate(LEVELS):
            groups = self.groups.copy()
            groups[:, :level] = UNKNOWN
            if left_out != LEVELS[-1] and (groups[:, level] == UNKNOWN).all():
                continue
            try:
                return left_out, self._calibrate(groups)
            except FeaturesError:
                if left_out == LEVELS[-1]:
                    raise
        raise AssertionError("unreachable")

    def _calibrate(self, groups: Int) -> Float:
        """Measure up to 5,000 rows of up to 50 groups, drawn with a fixed seed."""
        rng = np.random.default_rng(0)
        unique, which = np.unique(groups, axis=0, return_inverse=True)
        drawn = rng.permutation(len(unique))[:_CALIBRATION_GROUPS]
        rows = np.flatnonzero(np.isin(which.reshape(-1), drawn))
        rows = np.sort(rng.permutation(rows)[:_CALIBRATION_ROWS])
        nearest = self.search(self.features[rows], groups[rows], own=rows)
        return np.sort(nearest.distances[:, -1])

    def novelty(self, neighbours: Neighbours) -> Float:
        """float32 [N]: percentile (0 to 100) of the k-th distance in `calibration`."""
        _, distances = self.calibration
        below = np.searchsorted(distances, neighbours.distances[:, -1], side="right")
        return (100 * below / len(distances)).astype(np.float32)


class Reference(Searched):
    """Labelled rows in memory, compared with by scikit-learn.

    Args:
        features: float32 [N, D], finite.
        groups: int64 [N, 2], codes of (patient, slide); -1 unknown.
        knn: How neighbours are found.
    """

    def __init__(self, features: Float, groups: Int, knn: Knn) -> None:
        self.features: Float = features
        self.groups = groups
        self.knn = knn

    @cached_property
    def _whole(self) -> _Space:
        return _Space(self.features.copy(), self.knn)

    def search(self, queries: Float, groups: Int, own: Int | None = None) -> Neighbours:
        """As `Searched.search`: one space for all, and one for each group that is left out."""
        nearest = Neighbours(
            np.empty((len(queries), self.knn.k), np.int64),
            np.empty((len(queries), self.knn.k), np.float32),
        )
        for rows, excluded in self.exclusions.parts(groups, own, self.knn.k):
            own_row = None if own is None else own[rows]
            part = self._search_part(queries[rows], excluded, own_row)
            nearest.rows[rows], nearest.distances[rows] = part
        return nearest

    def _search_part(self, queries: Float, excluded: Int, own: Int | None) -> Neighbours:
        """Neighbours among the other rows; the queries, a copy, are changed."""
        k = self.knn.k
        kept = np.delete(np.arange(len(self.features)), excluded) if len(excluded) else None
        own = None if kept is not None or own is None or (own == UNKNOWN).all() else own
        space = self._whole if kept is None else _Space(self.features[kept], self.knn)
        to_points(queries, space.mean, scaled=self.knn.scaled)
        nearest = space.nearest(queries, k if own is None else k + 1)
        if own is not None:
            nearest = _without(nearest, own)
        rows = nearest.rows if kept is None else kept[nearest.rows]
        if self.knn.metric == "cosine":  # |a - b|² / 2 = 1 - cos of unit vectors
            return Neighbours(rows, np.float32(0.5) * np.square(nearest.distances))
        return Neighbours(rows, nearest.distances)


class _Space:
    """Reference rows as the metric sees them: centred, scaled (in place), indexed."""

    def __init__(self, reference: Float, knn: Knn) -> None:
        from sklearn.neighbors import NearestNeighbors

        self.mean = reference.mean(0, dtype=np.float64).astype(np.float32) if knn.center else None
        to_points(reference, self.mean, scaled=knn.scaled)
        self.points = reference
        self.index = NearestNeighbors(algorithm="brute").fit(self.points)

    def nearest(self, queries: Float, k: int, width: int | None = None) -> Neighbours:
        """The k nearest of points [M, D]; of equal distances the smaller row comes first."""
        width = min(width or k + _SPARE, len(self.points))
        near = self._candidates(queries, width)
        rows, distances = near.rows[:, :k].copy(), near.distances[:, :k].copy()
        unsure = near.distances[:, -1] <= distances[:, -1]
        if width < len(self.points) and unsure.any():  # more may lie at the k-th distance
            rows[unsure], distances[unsure] = self.nearest(queries[unsure], k, 8 * width)
        return Neighbours(rows, distances)

    def _candidates(self, queries: Float, width: int) -> Neighbours:
        """Find `width` near points, sorted by a distance that no block or thread changes."""
        rows: Int = self.index.kneighbors(queries, width, return_distance=False)
        rows.sort(axis=1)
        distances = np.empty(rows.shape, np.float32)
        step = max(1, _BLOCK_VALUES // (width * queries.shape[1]))
        for i in range(0, len(queries), step):
            apart = self.points[rows[i : i + step]]
            apart -= queries[i : i + step, None]
            distances[i : i + step] = np.sqrt(np.einsum("mkd,mkd->mk", apart, apart))
        order = np.argsort(distances, axis=1, kind="stable")
        return Neighbours(
            np.take_along_axis(rows, order, 1), np.take_along_axis(distances, order, 1)
        )


def _without(nearest: Neighbours, own: Int) -> Neighbours:
    """Leave out each query's own row, else its last neighbour: [M, k + 1] → [M, k]."""
    drop = nearest.rows == own[:, None]
    drop[~drop.any(1), -1] = True
    shape = (len(own), nearest.rows.shape[1] - 1)
    return Neighbours(nearest.rows[~drop].reshape(shape), nearest.distances[~drop].reshape(shape))


def places(names: Iterable[str]) -> dict[str, int]:
    """Each name's place in alphabetical order; "" has none."""
    return {name: i for i, name in enumerate(sorted(set(names) - {""}))}


def codes(ids: Iterable[str], among: Mapping[str, int]) -> Int:
    """Ids as int64 [N]: their `places`; -1 for "" and strangers."""
    return np.array([among.get(name, UNKNOWN) for name in ids], np.int64)
