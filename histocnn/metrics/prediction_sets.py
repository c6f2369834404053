"""Where a model was not sure, and whether its prediction sets hold what they promised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.metrics.conformal import FEWEST, Promise
from histocnn.metrics.intervals import Intervals, bootstrap
from histocnn.metrics.patch import UNKNOWN_GROUPS, Groups, described, nest
from histocnn.metrics.sections import Figure, Figures, Interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SetReport:
    """Prediction sets beside the truth; every figure is a mean over patients of their patches'.

    Attributes:
        promise: What the model promised.
        n: Patches.
        groups: Patients that have patches of each class.
        figures: `uncertain`: share of patches whose set is empty or has several classes;
            `set_size`: classes in a set.
        per_class: The same of each class's patches, and `set_coverage`: the share of them whose set
            holds the class.
        interval: What the intervals rest on.
        words: All of it in sentences.
    """

    promise: Promise
    n: int
    groups: Mapping[str, int]
    figures: Figures
    per_class: Mapping[str, Figures]
    interval: Interval
    words: tuple[str, ...] = ()

    @property
    def broken(self) -> dict[str, Figure]:
        """Classes whose coverage lies surely below what was promised."""
        asked = self.promise.confidence
        own = {name: figures["set_coverage"] for name, figures in self.per_class.items()}
        return {name: f for name, f in own.items() if f.high is not None and f.high < asked}


def set_report(
    sets: ArrayLike,
    labels: ArrayLike,
    groups: Groups,
    class_names: Sequence[str],
    promise: Promise,
) -> SetReport:
    """Judge prediction sets.

    Args:
        sets: bool [N, C], of scored patches.
        labels: int [N], -1 = unknown; these take no part.
        groups: The patients.
        class_names: C names.
        promise: What the model promised.
    """
    keep = np.asarray(labels) >= 0
    inside, truth = np.asarray(sets, bool)[keep], np.asarray(labels)[keep]
    known = groups.known(labels)
    number = groups.of(keep).numbers if known else np.arange(len(truth))
    size, count = inside.sum(axis=1), int(number.max(initial=-1)) + 1
    means: dict[str, tuple[Floats, NDArray[np.bool_]]] = {}
    named = list(enumerate(class_names))

    def add(figure: str, values: NDArray[Any], rows: NDArray[np.bool_]) -> None:
        patches = np.bincount(number[rows], minlength=count)
        total = np.bincount(number[rows], values[rows].astype(float), minlength=count)
        means[figure] = total / np.maximum(patches, 1), patches > 0

    everything = np.full(len(truth), True)
    for name, rows in {"": everything, **{f":{n}": truth == i for i, n in named}}.items():
        add(f"uncertain{name}", size != 1, rows)
        add(f"set_size{name}", size, rows)
    for column, name in named:
        add(f"set_coverage:{name}", inside[:, column], truth == column)

    def figures(weights: Floats) -> dict[str, Floats]:
        with np.errstate(invalid="ignore"):
            return {k: (weights @ own) / (weights @ has) for k, (own, has) in means.items()}

    intervals = Intervals(note="" if known else UNKNOWN_GROUPS)
    if known and groups.replicates:
        presence = np.stack([means[f"set_coverage:{name}"][1] for name in class_names], axis=1)
        intervals = bootstrap(figures, presence, replicates=groups.replicates, seed=groups.seed)
    whole = figures(np.ones((1, count)))
    overall, per_class = nest(whole, intervals)
    found = SetReport(
        promise=promise,
        n=len(truth),
        groups={n: int(means[f"set_coverage:{n}"][1].sum()) * known for n in class_names},
        figures=overall,
        per_class=per_class,
        interval=described(intervals, groups.unit),
    )
    return replace(found, words=tuple(_words(found)))


def _words(found: SetReport) -> Iterator[str]:
    promise, unit = found.promise, found.promise.unit
    few = [f"{name} {n}" for name, n in promise.patients.items() if n < FEWEST]
    if few:
        yield (
            f"No coverage is promised: sets were calibrated on fewer than {FEWEST} {unit} "
            f"({', '.join(few)})."
        )
    else:
        own = ", ".join(f"{name} {count}" for name, count in promise.patients.items())
        yield (
            f"Promised: the set of a new patient's patch holds its class with a probability of "
            f"{100 * promise.confidence:g} % or more, as long as the patient is like those who "
            f"calibrated ({unit}: {own})."
        )
    for name, figure in found.broken.items():
        yield (
            f"Not kept here: {figure} of the patches of {name} have it in their set. These {unit} "
            "are not like those who calibrated: do not trust the sets."
        )
    told = [name for name in found.per_class if name not in found.broken]
    unsure = [f"{name} {found.groups[name]}" for name in told if found.groups[name] < FEWEST]
    if unsure and not few:
        yield f"Too few {found.interval.unit} to tell whether it is kept: {', '.join(unsure)}."
    share = found.figures["uncertain"].value
    if share is not None:
        yield f"Uncertain, with an empty set or one of several classes: {share:.1%} of the patches."
