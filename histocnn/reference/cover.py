"""Whether a reference covers a slide: how new its patches are, and whether the two lie apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.metrics import counts
from histocnn.reference.neighbours import Rows

Float = NDArray[np.float32]
Int = NDArray[np.int64]

MOST = 200  # rows of either side that are told apart
FOLDS = 5
FEWEST = 10  # rows of a side below which nobody tells them apart
UNITS = 19  # patients of the reference that are set against the others: one in 20 is the highest
ENOUGH = 9  # of these, for a verdict: one in ten new patients would lie above all by chance
NEW = 95  # the percentile of novelty from which on a patch is unlike the reference
HALF = 0.5  # of a slide's patches: so many new ones, and the reference does not cover it
NOT_COVERED = "the reference does not cover this slide: do not trust"


@dataclass(frozen=True)
class Cover:
    """What is known of a slide beside a reference.

    Attributes:
        median_novelty: Percentile, 0 to 100; 50 is what a patch of the reference has.
        share_new: Of its patches whose novelty is 95 or more; a twentieth of the reference's own.
        apart: AUROC, cross-validated, of a linear classifier that tells its patches from the
            reference's; None where there are too few.
        usual: The highest that one of the reference's own patients reaches against the others; None
            where they are not known.
        units: How many of these were tried.
    """

    median_novelty: float
    share_new: float
    apart: float | None = None
    usual: float | None = None
    units: int = 0

    @property
    def covered(self) -> bool:
        """Not if half of the patches are new, or it lies farther off than any own patient does."""
        farther = self.units >= ENOUGH and (self.apart or 0) > (self.usual or 1)
        return self.share_new < HALF and not farther

    @property
    def stored(self) -> dict[str, float | bool | None]:
        """As score files and run.json hold it."""
        return {**asdict(self), "covered": self.covered}

    @property
    def said(self) -> str:
        """All of it in a line."""
        line = (
            f"novelty: median {self.median_novelty:.0f}, {self.share_new:.0%} of patches above 95"
        )
        if self.apart is not None:
            line += f"; told from the reference with AUROC {self.apart:.2f}"
        if self.apart is not None and self.usual is not None:
            line += (
                f" (each of {self.units} of its patients from the others up to {self.usual:.2f})"
            )
        return line if self.covered else f"{line}: {NOT_COVERED}"


def is_covered(attributes: Mapping[str, Any]) -> bool | None:
    """What a score file's attributes say of it; None where they say nothing."""
    covered = (attributes.get("cover") or {}).get("covered")
    return covered if isinstance(covered, bool) else None


def cover(novelty: Float, apart: float | None, own: Sequence[float] = ()) -> Cover | None:
    """Sum a slide up.

    Args:
        novelty: float32 [N], percentiles; NaN unknown.
        apart: From `told_apart`, of slide and reference.
        own: The same of the reference's patients, from `patients_apart`.

    Returns:
        None where nothing is known.
    """
    known = novelty[np.isfinite(novelty)]
    if not len(known):
        return None
    new = float((known >= NEW).mean())
    return Cover(float(np.median(known)), new, apart, max(own, default=None), len(own))


def told_apart(first: Float, second: Float, seed: int = 0) -> float | None:
    """AUROC of a linear classifier that tells the rows of one side from those of the other.

    A ridge regression on ±1 of standardised features, penalty as large as their mean square norm,
    in 5 folds; what each fold is given by the others follows from one inverse (Cook and Weisberg,
    "Residuals and influence in regression", 1982, of blocks).

    Args:
        first: float32 [N, D]; of more than 200 rows as many are drawn.
        second: float32 [M, D], likewise.
        seed: Of drawing and folds.

    Returns:
        0.5 where nothing tells them apart; None where a side has fewer than 10 rows.
    """
    if min(len(first), len(second)) < FEWEST:
        return None
    rng = np.random.default_rng(seed)
    sides = [side[rng.permutation(len(side))[:MOST]] for side in (first, second)]
    rows = np.concatenate(sides).astype(np.float64)
    fold = np.concatenate([np.arange(len(side)) % FOLDS for side in sides])
    target = np.repeat([1.0, -1.0], [len(side) for side in sides])
    score = target - held_out_residuals(standardised(rows), target, fold)
    _, tp, fp = counts.cumulative(score, target > 0)
    return float(counts.auroc(tp, fp))


def some(rows: NDArray[np.bool_], seed: int = 0) -> Int:
    """Numbers of at most 200 of the chosen rows, drawn by seed."""
    return np.sort(np.random.default_rng(seed).permutation(np.flatnonzero(rows))[:MOST])


def standardised(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns of mean 0 and deviation 1; those without any become 0."""
    centred = rows - rows.mean(axis=0)
    deviation = centred.std(axis=0)
    return np.asarray(
        np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)
    )


def held_out_residuals(
    rows: NDArray[np.float64], target: NDArray[np.float64], fold: Int
) -> NDArray[np.float64]:
    """Each row's target minus what a ridge regression without its fold says, without intercept."""
    count, width = rows.shape
    gram = rows @ rows.T / width
    hat = np.linalg.solve(gram + np.eye(count), gram)
    residual = target - hat @ target
    for number in np.unique(fold):
        own = np.flatnonzero(fold == number)
        block = np.eye(len(own)) - hat[np.ix_(own, own)]
        residual[own] = np.linalg.solve(block, residual[own])
    return residual


def patients_apart(features: Rows, unit: Int, seed: int = 0) -> list[float]:
    """`told_apart` of one patient of a reference and the others, of up to 19 of them.

    Args:
        features: N rows.
        unit: int64 [N], its patients (slides where unknown); below 0 unknown.
        seed: Of drawing them.
    """
    known, rows = np.unique(unit[unit >= 0], return_counts=True)
    drawn = np.random.default_rng(seed).permutation(known[rows >= FEWEST])[:UNITS]
    found = [
        told_apart(features[some(unit == own)], features[some(unit != own)], seed) for own in drawn
    ]
    return [auroc for auroc in found if auroc is not None]
