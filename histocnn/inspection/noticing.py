"""Whether pictures are called right, how surely, and whether a score tells them from tissue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.metrics import counts
from histocnn.metrics.intervals import Intervals, bootstrap
from histocnn.metrics.patch import UNKNOWN_GROUPS, Groups, described, nest
from histocnn.metrics.sections import Figure, Interval

Floats = NDArray[np.float64]

SURE = 0.99  # confidence from which a network is called sure
NOBODY = -1


@dataclass(frozen=True, eq=False)
class Shown:
    """What came of N pictures that a network was shown.

    Attributes:
        confidence: float64 [N].
        right: bool [N]; None where there is no right answer.
        scores: By detector float64 [N], the higher the stranger.
        owner: int [N], whose each is; -1 nobody's.
    """

    confidence: Floats
    right: NDArray[np.bool_] | None
    scores: Mapping[str, Floats]
    owner: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.confidence)


def weighted_auroc(score: ArrayLike, positive: ArrayLike, weights: ArrayLike) -> Floats:
    """Area under the ROC curve where rows count several times, ties counting half.

    Args:
        score: float [N].
        positive: bool [N].
        weights: float [R, N].

    Returns:
        float64 [R]; NaN where a side has no weight.

    >>> weighted_auroc([3, 2, 1], [True, False, True], [[1, 1, 1], [3, 1, 1]]).tolist()
    [0.5, 0.75]
    """
    score, positive = np.asarray(score), np.asarray(positive, bool)
    weights = np.asarray(weights, np.float64)
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)  # of each run
    sides = (weights[:, order] * side[order] for side in (positive, ~positive))
    tp, fp = (np.pad(np.cumsum(own, axis=1)[:, last], ((0, 0), (1, 0))) for own in sides)
    return counts.auroc(tp, fp)


def figures(odd: Shown, tissue: Shown, groups: Groups) -> tuple[Mapping[str, Figure], Interval]:
    """Figures of pictures, with intervals over the patients of the tissue beside them.

    Pictures of nobody are held as they are in every replicate: an interval then says how much
    depends on which patients' tissue they are told from.

    Args:
        odd: The pictures.
        tissue: Patches as they are, whose owners are 0 to G - 1; may be `odd` itself.
        groups: Of the tissue.

    Returns:
        `accuracy` (where there is a right answer), mean `confidence`, the share `sure`, and where
        the pictures are others than the tissue `auroc_<detector>` for each; and what the intervals
        rest on.
    """
    number = int(tissue.owner.max()) + 1

    def computed(weights: Floats) -> dict[str, Floats]:
        with_nobody = np.hstack([weights, np.ones((len(weights), 1))])  # its index is -1
        own, other = with_nobody[:, odd.owner], with_nobody[:, tissue.owner]
        found = {"accuracy": _mean(own, odd.right)} if odd.right is not None else {}
        found["confidence"] = _mean(own, odd.confidence)
        found["sure"] = _mean(own, odd.confidence >= SURE)
        if odd is tissue:
            return found
        positive, both = np.arange(len(odd) + len(tissue)) < len(odd), np.hstack([own, other])
        for name, scores in odd.scores.items():
            together = np.concatenate([scores, tissue.scores[name]])
            found[f"auroc_{name}"] = weighted_auroc(together, positive, both)
        return found

    intervals = Intervals(note="" if (groups.of_patch >= 0).all() else UNKNOWN_GROUPS)
    if not intervals.note and groups.replicates:
        present = np.bincount(tissue.owner, minlength=number)[:, None]
        intervals = bootstrap(computed, present, replicates=groups.replicates, seed=groups.seed)
    flat, _ = nest(computed(np.ones((1, number))), intervals)
    return flat, described(intervals, groups.unit)


def _mean(weights: Floats, values: NDArray[np.floating] | NDArray[np.bool_]) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(weights @ values.astype(np.float64) / weights.sum(axis=1))
