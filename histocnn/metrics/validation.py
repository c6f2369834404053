"""What is remembered of a cohort's scores, so that another's can be set beside them: a few kB."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.errors import MetricError
from histocnn.metrics import counts, plain
from histocnn.metrics.calibration import Prior, usable
from histocnn.metrics.patch import Groups
from histocnn.metrics.rates import Rate, rate
from histocnn.metrics.tally import Points
from histocnn.metrics.thresholds import bounds

CALLED = "called"  # the class of the highest score: of two classes, a threshold of 0.5
STEPS = 201  # of a score's distribution, at the middles of as many equal shares
DIGITS = 6
MOST_SHOWN = 20  # classes whose distributions are remembered; of more, the points alone


@dataclass(frozen=True)
class PointFacts:
    """One class at one operating point.

    Attributes:
        sensitivity: Patches of the class that are called it.
        specificity: Patches of other classes that are not.
        threshold: None where the class of the highest score is called.
        low: Bound of 95 % of the threshold over patients; None where it was not resampled.
        high: Likewise.
    """

    sensitivity: Rate
    specificity: Rate
    threshold: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ClassFacts:
    """One class against the rest.

    Attributes:
        patches: Patches of the class.
        auroc: None where a side is missing.
        average_precision: Likewise.
        own: The class's score on its own patches, at the middles of 201 equal shares, rising;
            empty where it has none, or there are more than 20 classes.
        others: Its score on other classes' patches, likewise.
        points: By operating point.
    """

    patches: int
    auroc: float | None
    average_precision: float | None
    own: tuple[float, ...]
    others: tuple[float, ...]
    points: Mapping[str, PointFacts]

    def __post_init__(self) -> None:
        for shares in (self.own, self.others):
            rising = all(a <= b for a, b in pairwise(shares))
            if len(shares) not in (0, STEPS) or not all(map(math.isfinite, shares)) or not rising:
                raise MetricError(
                    "the scores remembered of validation are no distribution",
                    "Train the model again.",
                )


@dataclass(frozen=True)
class Facts:
    """One cohort.

    Attributes:
        patches: Labelled and scored.
        groups: Patients (slides where unknown) of these; 0 unknown.
        unit: What these are.
        classes: By name.
    """

    patches: int
    groups: int
    unit: str
    classes: Mapping[str, ClassFacts]

    @property
    def present(self) -> list[str]:
        """The classes that have patches."""
        return [name for name, own in self.classes.items() if own.patches]

    @classmethod
    def from_text(cls, text: str) -> Facts:
        """Read what `plain.to_text` wrote.

        Raises:
            MetricError: It is no such thing.
        """
        found: Facts = plain.read_as(cls, plain.parsed(text), "validation")
        return found


def facts(
    scores: ArrayLike,
    labels: ArrayLike,
    groups: Groups,
    class_names: Sequence[str],
    points: Points | None = None,
    prior: Prior | None = None,
) -> Facts:
    """Sum a cohort's scores up.

    Args:
        scores: float [N, C]; rows with NaN take no part.
        labels: int [N], -1 = unknown; these neither.
        groups: The patients; their replicates and seed make the thresholds' bounds, 0 none.
        class_names: C names.
        points: {class: {point: {"threshold"}}}, as `calibration.operating_points` gives.
        prior: What it was given, so that each replicate's threshold is drawn likewise.

    Raises:
        MetricError: Shapes differ.
    """
    keep = usable(scores, labels)
    score = np.asarray(scores)[keep].astype(np.float32)
    truth = np.asarray(labels)[keep]
    known, own = groups.known(np.where(keep, labels, -1)), groups.of(keep)
    called = score.argmax(axis=1) if len(score) else np.zeros(0, int)
    classes, few = {}, len(class_names) <= MOST_SHOWN
    for column, name in enumerate(class_names):
        positive, found = truth == column, (points or {}).get(name, {})
        masks = {CALLED: called == column}
        limits = {point: float(values["threshold"]) for point, values in found.items()}
        masks |= {point: score[:, column] >= limit for point, limit in limits.items()}
        sure = bounds(score[:, column], positive, own) if known and limits else {}
        if prior is not None and "youden" in sure:  # rising: percentiles move with their thresholds
            low, high = (prior.drawn(limit, column) for limit in sure["youden"])
            sure["youden"] = low, high
        classes[name] = ClassFacts(
            patches=int(positive.sum()),
            **_areas(score[:, column], positive),
            own=_shares(score[positive & few, column]),
            others=_shares(score[~positive & few, column]),
            points={
                point: PointFacts(
                    *_rates(mask, positive, own.numbers, known=known),
                    limits.get(point),
                    *sure.get(point, (None, None)),
                )
                for point, mask in masks.items()
            },
        )
    n_groups = len(np.unique(own.of_patch)) if known else 0
    return Facts(int(keep.sum()), n_groups, groups.unit, classes)


def _areas(score: NDArray[np.float32], positive: NDArray[np.bool_]) -> dict[str, float | None]:
    if not positive.any() or positive.all():
        return {"auroc": None, "average_precision": None}
    _, tp, fp = counts.cumulative(score, positive)
    return {
        "auroc": float(counts.auroc(tp, fp)),
        "average_precision": float(counts.average_precision(tp, fp)),
    }


def _shares(score: NDArray[np.float32]) -> tuple[float, ...]:
    if not len(score):
        return ()
    at = (np.arange(STEPS) + 0.5) / STEPS
    shares = np.quantile(score.astype(np.float64), at, method="inverted_cdf")
    return tuple(np.round(shares, DIGITS).tolist())


def _rates(
    called: NDArray[np.bool_],
    positive: NDArray[np.bool_],
    group: NDArray[np.int64],
    *,
    known: bool,
) -> tuple[Rate, Rate]:
    n = int(group.max(initial=0)) + 1

    def count(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(group[mask], minlength=n)

    return (
        rate(count(called & positive), count(positive), known=known),
        rate(count(~called & ~positive), count(~positive), known=known),
    )
