"""Figures of patches from arrays: one report, and the comparison of two models' scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.metrics.calibration import usable
from histocnn.metrics.intervals import REPLICATES, Intervals, bootstrap, paired_bootstrap
from histocnn.metrics.sections import (
    ComparisonReport,
    Figure,
    Figures,
    Gap,
    Interval,
    PatchReport,
    ReliabilityBin,
)
from histocnn.metrics.tally import Points, Tally, tally

UNKNOWN_GROUPS = "no interval: some patches are of no known patient or slide"


@dataclass(frozen=True, eq=False)
class Groups:
    """What is resampled, and how.

    Attributes:
        of_patch: int [N]: the patient of each patch, any numbers; below 0 = unknown.
        unit: What these are: patients, slides, patches.
        replicates: Of the bootstrap; 0 = no intervals.
        seed: Of the bootstrap.
    """

    of_patch: NDArray[np.integer]
    unit: str = "patients"
    replicates: int = REPLICATES
    seed: int = 0

    def known(self, labels: ArrayLike) -> bool:
        """Whether every labelled patch is of a known group; else nothing can be resampled."""
        return bool((self.of_patch[np.asarray(labels) >= 0] >= 0).all())

    def of(self, rows: NDArray[Any]) -> Groups:
        """The groups of these patches."""
        return replace(self, of_patch=self.of_patch[rows])

    @property
    def numbers(self) -> NDArray[np.int64]:
        """int64 [N]: 0 .. G - 1."""
        return np.asarray(np.unique(self.of_patch, return_inverse=True)[1], np.int64)


def ungrouped(patches: int) -> Groups:
    """Groups for rows of which nobody knows the patients: figures then have no intervals."""
    return Groups(np.zeros(patches, np.int64), "patches", replicates=0)


def patch_report(
    scores: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    groups: Groups | None = None,
    *,
    points: Points | None = None,
) -> PatchReport:
    """Compute all patch figures: see `tally` and `confusion.figures` for their definitions.

    Args:
        scores: float [N, C], rows sum to 1 or are NaN.
        labels: int [N], -1 = unknown.
        class_names: C names.
        groups: What is resampled for intervals; None = no intervals.
        points: Stored thresholds, {class: {point: {"threshold": t}}}.

    Returns:
        Figures with intervals; undefined where one is, such as the AUROC of one class only.

    Raises:
        MetricError: No patch is both labelled and scored, or shapes differ.

    >>> report = patch_report([[0.9, 0.1], [0.4, 0.6]], [0, 0], ["normal", "tumour"])
    >>> report.n, report.confusion, str(report.figures["accuracy"])
    (2, ((1, 1), (0, 0)), '0.500')
    """
    groups = groups or ungrouped(len(np.asarray(labels)))
    counted = tally(scores, labels, groups.numbers, class_names, points)
    intervals = Intervals(note="" if groups.known(labels) else UNKNOWN_GROUPS)
    if not intervals.note and groups.replicates:
        intervals = bootstrap(
            counted.figures, counted.patches, replicates=groups.replicates, seed=groups.seed
        )
    figures, per_class = nest(counted.figures(), intervals)
    unlabelled = np.asarray(labels) < 0
    return PatchReport(
        n=int(usable(scores, labels).sum()),
        n_unlabelled=int(unlabelled.sum()),
        n_unscored=int((np.isnan(np.asarray(scores)).any(axis=1) & ~unlabelled).sum()),
        figures=figures,
        per_class=per_class,
        confusion=tuple(map(tuple, counted.confusion.sum(axis=0).astype(int).tolist())),
        reliability=_reliability(counted),
        interval=described(intervals, groups.unit),
    )


def nest(flat: Mapping[str, Any], intervals: Intervals) -> tuple[Figures, dict[str, Figures]]:
    """Figures with their intervals, and those of one class, `figure:class`, by its name."""
    figures: dict[str, Figure] = {}
    per_class: dict[str, dict[str, Figure]] = {}
    for key, value in flat.items():
        figure, _, name = key.partition(":")
        into = per_class.setdefault(name, {}) if name else figures
        low, high = intervals.bounds.get(key, (None, None))
        defined = number(value)
        undefined = Figure(None, None, None)
        into[figure] = undefined if defined is None else Figure(defined, low, high)
    return figures, {**per_class}


def described(intervals: Intervals, unit: str) -> Interval:
    """What intervals rest on, in the words of what was resampled."""
    note = intervals.note.replace("patients", unit).replace(
        "patient,", f"{unit.removesuffix('s')},"
    )
    return Interval(unit, intervals.groups, intervals.replicates, intervals.redrawn, note)


def number(value: Any) -> Any:
    """A NumPy scalar, or an array of one, as Python's number; NaN as None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _reliability(counted: Tally) -> tuple[ReliabilityBin, ...]:
    patches, confidence, right = counted.bins.sum(axis=0).T
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_confidence, accuracy = confidence / patches, right / patches
    return tuple(
        ReliabilityBin(int(n), number(c), number(a))
        for n, c, a in zip(patches, mean_confidence, accuracy, strict=True)
    )


def comparison(
    scores: tuple[ArrayLike, ArrayLike],
    labels: ArrayLike,
    class_names: Sequence[str],
    groups: Groups,
    names: tuple[str, str],
) -> ComparisonReport:
    """Compare two models' scores of the same patches, group by group.

    Args:
        scores: Two of float [N, C], rows sum to 1 or are NaN.
        labels: int [N], -1 = unknown.
        class_names: C names.
        groups: What is resampled.
        names: Of the two models.

    Returns:
        Differences, first minus second, of the patches that both scored.

    Raises:
        MetricError: No patch is labelled and scored by both.
    """
    both = ~np.isnan(np.asarray(scores[1])).any(axis=1) & usable(scores[0], labels)
    truth = np.where(both, labels, -1)
    first, second = (tally(own, truth, groups.numbers, class_names) for own in scores)
    once = first.figures(), second.figures()
    gaps = {}
    if groups.known(truth) and groups.replicates:
        gaps = paired_bootstrap(
            first.figures, second.figures, first.patches,
            replicates=groups.replicates, seed=groups.seed,
        )  # fmt: skip
    figures = {}
    for name in once[0]:
        own, other = once[0][name], once[1][name]
        gap = gaps.get(name)
        bounds = (gap.low, gap.high, gap.p) if gap else (None, None, None)
        figures[name] = Gap(number(own), number(other), number(own - other), *bounds)
    note = "" if gaps else f"no p-values: fewer than five {groups.unit}, or unknown ones"
    return ComparisonReport(int(both.sum()), groups.unit, *names, figures, note)
