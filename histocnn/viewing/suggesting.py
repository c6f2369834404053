"""Where to look next: the patches whose label would say most.

*Unlike*: what the labels leave uncovered. Of a sample of the slide, the patch that brings most of
the others nearer to an example (a greedy k-medoids). The farthest patch alone would be a fold, a
pen stroke or the edge of the glass; this one is typical of something that nobody has named.
*Uncertain*: the two likeliest classes are nearly equal. *Novel*: farthest from its k-th example.
*Combined*: unlike for the first labels; then what brings most of the uncertain patches nearer to an
example, each weighing as much as it is uncertain. docs/benchmarks.md has what it saves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import UsageError
from histocnn.reference.neighbours import Knn
from histocnn.viewing.nearest import distances_between
from histocnn.viewing.neighbour_map import TaughtMap

Float: TypeAlias = NDArray[np.float32]
Int: TypeAlias = NDArray[np.int64]
Rule: TypeAlias = Literal["combined", "uncertain", "novel", "unlike"]

RULES: tuple[Rule, ...] = get_args(Rule)
FIRST = 10  # labels of the combined rule that are chosen to be unlike; docs/benchmarks.md
_CANDIDATES = 1_000
_OTHERS = 2_000


@dataclass(frozen=True)
class Suggestion:
    """A patch to look at.

    Attributes:
        row: Of the slide's file.
        centre_l0: (x, y), level-0 px.
        rule: Why it is offered: uncertain, novel or unlike.
        value: By which it was ranked, more is better: uncertainty from 0 to 1; the distance to the
            k-th example; or by how much a mean patch would come nearer to an example, of the
            combined rule each by its uncertainty.
    """

    row: int
    centre_l0: tuple[float, float]
    rule: Rule
    value: float


class Suggester:
    """Looks through one slide.

    Args:
        points: float32 [n, D], the patches with features, as `nearest.place` makes them.
        rows: int64 [n], their rows in the slide's file.
        boxes_l0: float64 [N, 4], footprints of all patches of the file, level-0 px.
        knn: The metric in which distances are given.
        first: Labels of the combined rule that are chosen to be unlike.
    """

    def __init__(
        self,
        points: Float,
        rows: Int,
        boxes_l0: NDArray[np.float64],
        knn: Knn | None = None,
        first: int = FIRST,
    ) -> None:
        self.points, self.rows, self.boxes_l0 = points, rows, boxes_l0
        self.knn, self.first = knn or Knn(), first
        drawn = np.random.default_rng(0).permutation(len(points))
        self._candidates = np.sort(drawn[:_CANDIDATES])
        self._others = drawn[-_OTHERS:]

    def suggest(
        self, rule: Rule, count: int, taught: TaughtMap | None, nearest: Float, labels: Int
    ) -> list[Suggestion]:
        """The best patches without a label, best first, no two of which overlap.

        Args:
            rule: By which they are ranked. Without a map nothing is uncertain or novel yet: unlike.
            count: At most so many.
            taught: The map so far.
            nearest: float32 [N], from each patch to its nearest example; infinite without one.
            labels: int64 [N], -1 unknown.

        Raises:
            UsageError: There is no such rule.
        """
        if rule not in RULES:
            raise UsageError(f"no rule {rule!r}", f"Use {', '.join(RULES)}.")
        if taught is None or rule == "unlike":
            return self._covering(count, nearest, labels)
        if rule == "combined":
            later = int((labels >= 0).sum()) >= self.first
            return self._covering(count, nearest, labels, taught.uncertainty if later else None)
        values = taught.uncertainty if rule == "uncertain" else taught.farness
        values = np.where((labels < 0) & np.isfinite(values), values, -np.inf)
        found: list[Suggestion] = []
        for row in np.argsort(-values, kind="stable").tolist():
            if len(found) == count or values[row] == -np.inf:
                break
            if not self._overlaps(row, found):
                found.append(self._suggestion(row, rule, float(values[row])))
        return found

    @cached_property
    def _apart(self) -> Float:
        """Distances float32 [candidates, others], as the metric says."""
        candidates, others = self.points[self._candidates], self.points[self._others]
        return distances_between(candidates, others, self.knn)

    def _covering(
        self, count: int, nearest: Float, labels: Int, weights: Float | None = None
    ) -> list[Suggestion]:
        """Greedily the candidates that bring others, each by its weight, nearest to examples."""
        others = self.rows[self._others]
        rule: Rule = "unlike" if weights is None else "uncertain"
        weight = np.ones(len(others), np.float32) if weights is None else weights[others]
        left = nearest[others].astype(np.float32)
        if not np.isfinite(left).all():
            left = self._apart.max(axis=0)  # nothing is labelled: as far as anything is
        rows = self.rows[self._candidates]
        free = labels[rows] < 0
        found: list[Suggestion] = []
        while len(found) < count and free.any():
            gain = np.maximum(left - self._apart, 0) @ weight / len(others)
            gain[~free] = -1
            best = int(gain.argmax())
            free[best] = False
            if not self._overlaps(int(rows[best]), found):
                found.append(self._suggestion(int(rows[best]), rule, float(gain[best])))
            left = np.minimum(left, self._apart[best])
        return found

    def _overlaps(self, row: int, found: list[Suggestion]) -> bool:
        left, top, right, bottom = self.boxes_l0[row]
        others = self.boxes_l0[[each.row for each in found]].reshape(-1, 4).T
        apart = (others[2] <= left) | (right <= others[0])
        apart |= (others[3] <= top) | (bottom <= others[1])
        return not apart.all()

    def _suggestion(self, row: int, rule: Rule, value: float) -> Suggestion:
        left, top, right, bottom = self.boxes_l0[row].tolist()
        return Suggestion(row, ((left + right) / 2, (top + bottom) / 2), rule, value)
