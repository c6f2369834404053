"""Shares of patches that are found, patient by patient, and whether another cohort's is lower."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from histocnn.errors import MetricError
from histocnn.metrics.intervals import FEWEST, LEVEL

LOSS = 0.15  # of sensitivity or specificity, which a report should not overlook
SPREAD = 0.12  # by which patients' shares are taken to differ at least (a standard deviation)
POWER = 0.8  # of seeing LOSS, below which a report calls its patients too few

LOST, RISEN, KEPT, TOO_FEW = "lost", "risen", "no loss shown", "too few patients to tell"


@dataclass(frozen=True)
class Rate:
    """A share of patches: found tumour, normal left alone.

    Attributes:
        hits: Patches that are.
        of: Patches that could be.
        groups: Patients (slides where unknown) they are of; 0 unknown.
        variance: Of the share, over patients; None of fewer than two.

    >>> str(Rate(12, 40, 2)), str(Rate(120, 400, 20, 0.001)), str(Rate(0, 0, 0))
    ('12 of 40', '0.300', 'none')
    """

    hits: int
    of: int
    groups: int
    variance: float | None = None

    def __post_init__(self) -> None:
        variance = 0.0 if self.variance is None else self.variance
        if not (0 <= self.hits <= self.of and self.groups >= 0 and 0 <= variance < np.inf):
            raise MetricError(
                f"{self.hits} of {self.of} patches of {self.groups} patients are no share",
                "Train the model again, or score again.",
            )

    @property
    def value(self) -> float | None:
        """The share; None of no patch."""
        return self.hits / self.of if self.of else None

    def __str__(self) -> str:
        """A share of five patients or more, else the counts."""
        if self.value is None:
            return "none"
        return f"{self.hits:,} of {self.of:,}" if self.groups < FEWEST else f"{self.value:.3f}"


def rate(hits: ArrayLike, of: ArrayLike, *, known: bool = True) -> Rate:
    """A share of patches, and its variance over patients.

    The share is a ratio of two sums over patients, its variance that of a ratio (Cochran, "Sampling
    techniques", 1977, 6.4), and at least what as many independent patches would give (two hits and
    two misses added, Agresti and Coull, American Statistician 1998): patients that agree by chance,
    all at 1, are not certain.

    Args:
        hits: [G], patches of each patient that are.
        of: [G], patches of each patient that could be; patients without any take no part.
        known: Whether the groups are patients or slides at all.
    """
    hits, of = np.asarray(hits, np.float64), np.asarray(of, np.float64)
    hits, of = hits[of > 0], of[of > 0]
    groups, n, found = len(of) if known else 0, of.sum(), hits.sum()
    if groups < 2:
        return Rate(int(found), int(n), groups)
    apart = (hits - found / n * of) / of.mean()
    added = (found + 2) / (n + 4)
    variance = max((apart**2).sum() / (groups * (groups - 1)), added * (1 - added) / n)
    return Rate(int(found), int(n), groups, float(variance))


@dataclass(frozen=True)
class Change:
    """A share in one cohort minus that in another, of other patients.

    Attributes:
        difference: None where a share is undefined.
        low: Lower bound of 95 %; None below five patients on either side.
        high: Upper bound, likewise.
        power: Probability that a loss of 15 points would be called lost; None likewise.
        verdict: `lost`: the interval lies below 0; `risen`: above; else `no loss shown`, or `too
            few patients to tell` where a loss of 15 points would be missed in more than a fifth.

    >>> str(Change(-0.2, -0.3, -0.1, 0.9, LOST)), str(Change(-0.2, None, None, None, TOO_FEW))
    ('-0.200 (-0.300 to -0.100)', '')
    """

    difference: float | None
    low: float | None
    high: float | None
    power: float | None
    verdict: str

    def __str__(self) -> str:
        """The difference with its interval; empty without one."""
        if self.difference is None or self.low is None or self.high is None:
            return ""
        return f"{self.difference:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


def change(before: Rate, after: Rate) -> Change:
    """Compare the same share in two cohorts of different patients, after minus before.

    Welch's t on the two shares and their variances (Biometrika 1947): percentiles of a bootstrap
    call a loss where there is none twice as often as promised at five to ten patients
    (docs/evaluation.md). The power is that of the same test if patients differ by what was seen,
    but at least by SPREAD: few patients look alike by chance.
    """
    if before.value is None or after.value is None:
        return Change(None, None, None, None, TOO_FEW)
    difference = after.value - before.value
    if min(before.groups, after.groups) < FEWEST:
        return Change(difference, None, None, None, TOO_FEW)
    from scipy.stats import nct, t

    first, second = float(before.variance or 0), float(after.variance or 0)
    total = first + second
    freedom = total**2 / (first**2 / (before.groups - 1) + second**2 / (after.groups - 1))
    least = float(t.ppf((1 + LEVEL) / 2, freedom))
    half = least * total**0.5
    assumed = sum(
        max(own, SPREAD**2 / groups)
        for own, groups in ((first, before.groups), (second, after.groups))
    )
    power = float(nct.cdf(-least, freedom, -LOSS / assumed**0.5))
    low, high = max(difference - half, -1.0), min(difference + half, 1.0)
    undecided = KEPT if power >= POWER else TOO_FEW
    verdict = LOST if high < 0 else RISEN if low > 0 else undecided
    return Change(difference, low, high, power, verdict)
