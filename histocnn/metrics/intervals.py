"""How sure a figure is: bootstrap over patients, paired bootstrap, and DeLong for whole slides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import erfc, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.errors import MetricError

Floats = NDArray[np.float64]
Figures = Callable[[Floats], Mapping[str, Floats]]  # weights [R, G] -> {figure: [R]}

REPLICATES = 1000
LEVEL = 0.95
FEWEST = 5  # patients for any interval
FEW = 20  # patients for an interval without a warning: docs/evaluation.md, coverage
FEWEST_SLIDES, FEW_SLIDES = 10, 30  # the same for DeLong, slides of either class
TRIES = 100  # times as many draws as replicates before a class is called too rare


@dataclass(frozen=True)
class Intervals:
    """Bounds of every figure, and what they rest on.

    Attributes:
        bounds: {figure: (low, high)}; empty where `note` says why.
        groups: Patients that were resampled.
        replicates: Replicates used.
        redrawn: Draws thrown away because they lacked a class.
        note: "", "few patients", or why there is no interval.
    """

    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    groups: int = 0
    replicates: int = 0
    redrawn: int = 0
    note: str = ""


class Difference(NamedTuple):
    """A figure's difference of two models, its bounds and the two-sided p-value."""

    difference: float
    low: float
    high: float
    p: float


def draw(
    presence: ArrayLike, *, replicates: int = REPLICATES, seed: int = 0
) -> tuple[NDArray[np.int64], int]:
    """Draw patients with replacement, again wherever a class that the cohort has was missed.

    Args:
        presence: [G, K]: how much of each class (or of whatever must not be missed) a patient has.
        replicates: R.
        seed: Of NumPy's default generator.

    Returns:
        int64 [R, G], how often each patient was drawn; and the number of draws thrown away. Fewer
        than R rows when a class is so rare that 100 draws per replicate did not suffice.
    """
    present = np.asarray(presence) > 0
    present = present[:, present.any(axis=0)].astype(np.float64)
    groups = len(present)
    rng = np.random.default_rng(seed)
    kept: list[NDArray[np.int64]] = []
    drawn = whole = 0
    while whole < replicates and drawn < TRIES * replicates:
        weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=replicates)
        good = (weights @ present > 0).all(axis=1)
        # Count draws only up to the last replicate that is needed.
        needed = np.flatnonzero(good)[: replicates - whole]
        enough = whole + len(needed) == replicates
        drawn += int(needed[-1]) + 1 if enough else replicates
        whole += len(needed)
        kept.append(weights[needed])
    return np.concatenate(kept), drawn - whole


def bootstrap(
    figures: Figures, presence: ArrayLike, *, replicates: int = REPLICATES, seed: int = 0
) -> Intervals:
    """Percentile intervals of 95 % by resampling patients.

    Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13; patients
    and not patches are resampled because patches of one patient are alike.

    Args:
        figures: Weights [R, G] to {figure: [R]}, such as `Tally.figures`.
        presence: [G, K], see `draw`; patients with nothing in it are left out of the resampling.
        replicates: Replicates asked for.
        seed: Of the draw.

    Returns:
        Intervals; without bounds below 5 patients.
    """
    presence = np.asarray(presence)
    counted: NDArray[np.bool_] = np.any(presence, axis=1)
    groups = int(counted.sum())
    if groups < FEWEST:
        counts = f"{groups} patient{'s' * (groups != 1)}"
        return Intervals(groups=groups, note=f"no interval: {counts}, fewer than {FEWEST}")
    drawn, redrawn = draw(presence[counted], replicates=replicates, seed=seed)
    if len(drawn) < replicates:
        return Intervals(groups=groups, redrawn=redrawn, note="no interval: a class is too rare")
    tail = 100 * (1 - LEVEL) / 2
    bounds = {}
    for name, values in figures(_spread(drawn, counted)).items():
        defined = values[~np.isnan(values)]
        if len(defined):
            low, high = np.percentile(defined, (tail, 100 - tail))
            bounds[name] = (float(low), float(high))
    note = "few patients" if groups < FEW else ""
    return Intervals(bounds, groups, replicates, redrawn, note)


def paired_bootstrap(
    first: Figures,
    second: Figures,
    presence: ArrayLike,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compare two models on the same patients: both see every replicate.

    p is twice the smaller share of replicates on either side of no difference, each share counted
    with one added so that it is never 0 (Davison and Hinkley, "Bootstrap methods", 1997, 4.2).

    Args:
        first: Weights [R, G] to {figure: [R]}.
        second: The same of the other model, on the same patients in the same order.
        presence: [G, K], see `draw`.
        replicates: Replicates asked for.
        seed: Of the draw.

    Returns:
        {figure: Difference}, first minus second; empty below 5 patients or if a class is too rare.
    """
    presence = np.asarray(presence)
    counted: NDArray[np.bool_] = np.any(presence, axis=1)
    if counted.sum() < FEWEST:
        return {}
    drawn, _ = draw(presence[counted], replicates=replicates, seed=seed)
    if len(drawn) < replicates:
        return {}
    weights, once = _spread(drawn, counted), counted[None].astype(np.float64)
    a, b, a_once, b_once = first(weights), second(weights), first(once), second(once)
    tail = 100 * (1 - LEVEL) / 2
    result = {}
    for name in a.keys() & b.keys():
        gaps = a[name] - b[name]
        gaps = gaps[~np.isnan(gaps)]
        if len(gaps):
            low, high = np.percentile(gaps, (tail, 100 - tail))
            side = min(np.count_nonzero(gaps <= 0), np.count_nonzero(gaps >= 0))
            result[name] = Difference(
                float((a_once[name] - b_once[name])[0]),
                float(low),
                float(high),
                min(1.0, 2 * (side + 1) / (len(gaps) + 1)),
            )
    return result


def _spread(drawn: NDArray[np.int64], counted: NDArray[np.bool_]) -> Floats:
    """Give the patients that were not resampled a weight of 0."""
    weights = np.zeros((len(drawn), len(counted)))
    weights[:, counted] = drawn
    return weights


class DeLong(NamedTuple):
    """AUROCs of M scores of the same slides, their covariance, and bounds of 95 %."""

    auroc: Floats  # [M]
    covariance: Floats  # [M, M]
    bounds: Floats  # [M, 2], cut to 0 .. 1

    def p(self, first: int = 0, second: int = 1) -> float:
        """Two-sided p-value of the difference of two AUROCs; NaN if it has no variance."""
        contrast = np.zeros(len(self.auroc))
        contrast[[first, second]] = 1, -1
        variance = float(contrast @ self.covariance @ contrast)
        difference = abs(float(contrast @ self.auroc))
        if variance <= 0:
            return float("nan") if difference else 1.0
        return erfc(difference / sqrt(2 * variance))


def delong(scores: ArrayLike, positive: ArrayLike) -> DeLong:
    """Estimate AUROCs of slides (or patients) with their covariance, without resampling.

    Valid only where rows are independent: slides or patients, never patches. Source: DeLong et
    al., Biometrics 1988, computed by mid-ranks as in Sun and Xu, IEEE Signal Process. Lett. 2014.

    Args:
        scores: float [M, N] (or [N]): M models' scores of the same N slides.
        positive: bool [N].

    Returns:
        DeLong.

    Raises:
        MetricError: Fewer than two slides of either class.
    """
    from scipy.stats import norm, rankdata

    scores, positive = np.atleast_2d(np.asarray(scores, np.float64)), np.asarray(positive, bool)
    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) < 2:
        raise MetricError(
            f"DeLong needs two slides of each class; {m} positive, {n} negative",
            "Score more slides.",
        )
    x, y = scores[:, positive], scores[:, ~positive]
    ranks = rankdata(scores, axis=1)
    # Each slide's share of the slides of the other class that it is rightly ordered with.
    of_positive = (ranks[:, positive] - rankdata(x, axis=1)) / n
    of_negative = 1 - (ranks[:, ~positive] - rankdata(y, axis=1)) / m
    auroc = of_positive.mean(axis=1)
    covariance = np.atleast_2d(np.cov(of_positive)) / m + np.atleast_2d(np.cov(of_negative)) / n
    half = norm.ppf((1 + LEVEL) / 2) * np.sqrt(np.diag(covariance))
    bounds = np.clip(np.stack([auroc - half, auroc + half], axis=1), 0, 1)
    return DeLong(auroc, covariance, bounds)


def delong_interval(score: ArrayLike, positive: ArrayLike) -> Intervals:
    """DeLong's interval of the AUROC of slides, where there are slides enough for it.

    Its variance is an estimate from few ranks and 0 where the classes do not overlap: an interval
    from 1 to 1 on two slides of each class holds nothing. At a true AUROC of 0.9 a nominal 95 %
    holds it in 70 % of cohorts with 5 slides of each class, 82 % with 10 and 91 % with 30
    (`benchmarks/coverage.py`).

    Args:
        score: float [N], of slides or patients, never of patches.
        positive: bool [N].

    Returns:
        Intervals with bounds of "auroc"; without bounds below 10 slides of either class, or without
        variance; marked "few slides" below 30.
    """
    positive = np.asarray(positive, bool)
    n, fewer = len(positive), int(min(positive.sum(), (~positive).sum()))
    if fewer < FEWEST_SLIDES:
        counts = f"{positive.sum()} positive and {(~positive).sum()} negative slides"
        note = f"no interval: {counts}, fewer than {FEWEST_SLIDES} of one kind"
        return Intervals(groups=n, note=note)
    low, high = delong(score, positive).bounds[0].tolist()
    if low == high:
        note = "no interval: the classes do not overlap, so that DeLong sees no variance"
        return Intervals(groups=n, note=note)
    return Intervals({"auroc": (low, high)}, n, note="few slides" * (fewer < FEW_SLIDES))
