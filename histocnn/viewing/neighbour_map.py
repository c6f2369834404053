"""The k-NN map of a slide from a handful of labelled patches, within a second of each new one.

The rules are those of `histocnn knn` (centred, cosine, votes by 1 / distance), but for two, because
labels come one by one. As long as there are fewer than k labelled patches all of them vote. And
features are centred on the mean of the slide's own patches: that of the first labels would move
with every click, and the map with it. With a labelled reference of several classes beside them,
its mean is the centre, as for `knn`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import FeaturesError
from histocnn.patches.classes import renumber, used
from histocnn.reference.features import Features, check_same
from histocnn.reference.neighbours import Knn, Reference
from histocnn.reference.votes import vote
from histocnn.viewing.nearest import Nearest, place

Float: TypeAlias = NDArray[np.float32]
Int: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TaughtMap:
    """What the labels so far say of every patch of the slide's file.

    Attributes:
        class_names: The C classes that have an example.
        scores: float32 [N, C], rows sum to 1; NaN for a patch without features.
        called: int64 [N], the most likely class; -1 for a patch without features.
        uncertainty: float32 [N], 1 where the two likeliest classes are equally so, 0 where one has
            every vote; NaN for a patch without features.
        novelty: float32 [N], 0 to 100: how many percent of the examples lie nearer to their own
            k-th other example than the patch does; NaN for a patch without features.
        farness: float32 [N], the distance to the k-th example; NaN for a patch without features.
    """

    class_names: tuple[str, ...]
    scores: Float
    called: Int
    uncertainty: Float
    novelty: Float
    farness: Float


@dataclass(frozen=True)
class Neighbour:
    """A labelled patch that took part in a vote.

    Attributes:
        class_name: What it is.
        distance: To the patch that was asked for.
        row: Of the slide's own file; None where it is one of the reference's.
        reference_row: Into the reference's `Features`; None where it is one of the slide's.
    """

    class_name: str
    distance: float
    row: int | None = None
    reference_row: int | None = None


class NeighbourMap:
    """A slide's features, ready to be told labels.

    Args:
        features: Of the one slide, as `reference.features.load` reads them.
        count: N, the patches of its file, those without features among them.
        reference: Labelled features beside the slide's own labels, made the same way.
        knn: How neighbours are found and counted; k is the most of them.

    Raises:
        FeaturesError: The reference has no labels, or was not made as the slide's features.
    """

    def __init__(
        self,
        features: Features,
        count: int,
        reference: Features | None = None,
        knn: Knn | None = None,
    ) -> None:
        self.knn = knn or Knn()
        self.rows = features.row
        self.count = count
        self.reference = None if reference is None else _examples(reference, features)
        of = self.reference if self.reference and len(self.reference.class_names) > 1 else features
        mean = of.values.mean(0, dtype=np.float64).astype(np.float32)
        self._centre = mean if self.knn.center else None
        self.points = place(features.values, self._centre, self.knn)
        self._place = np.full(count, -1, np.int64)  # from a row of the file to one of `points`
        self._place[self.rows] = np.arange(len(self.rows))
        self._base = Nearest(self.points, self.knn)
        if self.reference:
            others = place(self.reference.values, self._centre, self.knn)
            self._base.add(others, np.arange(len(others)))
        self._near, self._added = self._base.copy(), np.empty(0, np.int64)

    @property
    def beside(self) -> int:
        """How many examples the reference has."""
        return len(self.reference) if self.reference else 0

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Which patches have features: bool [N]."""
        return self._place >= 0

    def names(self, taught: tuple[str, ...]) -> tuple[str, ...]:
        """The classes of reference and session together, the reference's first."""
        known = self.reference.class_names if self.reference else ()
        return tuple(dict.fromkeys((*known, *taught)))

    def map(self, labels: Int, taught: tuple[str, ...]) -> TaughtMap | None:
        """What labels say of the slide.

        Args:
            labels: int64 [N] into `taught`, -1 unknown.
            taught: Classes of the session.

        Returns:
            The map; None as long as fewer than two classes have an example.
        """
        names = self.names(taught)
        of_slide = renumber(labels, taught, names)
        of_slide[~self.readable] = -1
        self._follow(np.flatnonzero(of_slide >= 0))
        classes = self._classes(of_slide, names)
        present = sorted(used(classes, names), key=names.index)
        if len(present) < 2:
            return None
        k = min(self.knn.k, self.beside + len(self._added))
        distances = self._near.distances
        voters = renumber(classes, names, present)[self._near.ids[:, :k]]
        scores = vote(voters, distances[:, :k], len(present), self.knn.weights)
        best = np.sort(scores, axis=1)
        return TaughtMap(
            tuple(present),
            self._laid(scores),
            self._laid(scores.argmax(axis=1), -1).astype(np.int64),
            self._laid(1 - best[:, -1] + best[:, -2]),
            self._laid(self._novelty(distances, k)),
            self._laid(distances[:, k - 1]),
        )

    def nearest(self) -> Float:
        """Each patch's distance to its nearest example of the last `map`: float32 [N].

        Infinite where there is no example, NaN for a patch without features.
        """
        if not self._near.ids.shape[1]:
            return self._laid(np.full(len(self.rows), np.inf))
        return self._laid(self._near.distances[:, 0])

    def neighbours(self, row: int, labels: Int, taught: tuple[str, ...]) -> list[Neighbour]:
        """The examples that decided one patch, nearest first; none before the first `map`."""
        place_ = self._place[row]
        if place_ < 0:
            return []
        names = self.names(taught)
        classes = self._classes(renumber(labels, taught, names), names)
        found = []
        for number, distance in zip(
            self._near.ids[place_, : self.knn.k].tolist(),
            self._near.distances[place_, : self.knn.k].tolist(),
            strict=True,
        ):
            own = number - self.beside
            found.append(
                Neighbour(
                    names[classes[number]],
                    distance,
                    int(self.rows[own]) if own >= 0 else None,
                    number if own < 0 else None,
                )
            )
        return found

    def _follow(self, rows: Int) -> None:
        """Bring the nearest up to the labelled rows of the file: one column for each new one."""
        if not np.isin(self._added, rows).all():  # what was taken back is in many columns
            self._near, self._added = self._base.copy(), np.empty(0, np.int64)
        new = self._place[np.setdiff1d(rows, self._added)]
        self._near.add(self.points[new], new + self.beside)
        self._added = rows

    def _classes(self, of_slide: Int, names: tuple[str, ...]) -> Int:
        """The class of each example by its number: the reference's rows, then the slide's."""
        own = of_slide[self.rows]
        if self.reference is None:
            return own
        theirs = renumber(self.reference.labels, self.reference.class_names, names)
        return np.concatenate([theirs, own])

    def _novelty(self, distances: Float, k: int) -> Float:
        """Percentile of the k-th distance among the examples' own to their k-th other."""
        if self.reference is not None and len(self.reference) > self.knn.k:
            usual = self._usual
        else:
            last = min(k, distances.shape[1] - 1)
            usual = np.sort(distances[self._place[self._added], last])
        below = np.searchsorted(usual, distances[:, k - 1], side="right")
        return (100 * below / max(len(usual), 1)).astype(np.float32)

    @cached_property
    def _usual(self) -> Float:
        assert self.reference is not None  # noqa: S101 - asked only then
        values, groups = self.reference.values, self.reference.groups
        return Reference(values, groups, self.knn).calibration[1]

    def _laid(self, values: NDArray[np.generic], missing: float = np.nan) -> Float:
        """Values of points [n, …] as those of the file's rows [N, …]."""
        laid = np.full((self.count, *values.shape[1:]), missing, np.float32)
        laid[self.rows] = values
        return laid


def _examples(reference: Features, features: Features) -> Features:
    check_same(features, reference)
    kept = reference.only(reference.labels >= 0)
    if not len(kept):
        raise FeaturesError(
            f"{reference.files[0].parent}: none of {len(reference)} reference patches has a label",
            "Give features with labels, or teach without a reference.",
        )
    return kept
