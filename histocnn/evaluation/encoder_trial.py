"""One network's features judged: k-NN, probe and few shots, each patient by the others' patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from histocnn.cohort.splits import divide
from histocnn.errors import FeaturesError
from histocnn.jobs.ranges import NonNegativeInt, PositiveInt, check_ranges
from histocnn.reference.colour import colour_baseline
from histocnn.reference.few_shot import MOST, nearest_mean, numbers_of_shots, support
from histocnn.reference.linear import Probe
from histocnn.reference.neighbours import UNI, UNKNOWN, Float, Int, Reference
from histocnn.reference.votes import scores_by_k, vote

CURVE_K = 200  # neighbours at most that the k curve looks at


@dataclass(frozen=True)
class Protocol:
    """How networks are judged.

    Attributes:
        k: Neighbours of the table's k-NN: centred, L2-normalised, Euclidean, uniform votes.
        folds: Parts of the patients, each judged by the others.
        shots: Labelled patches per class at most: 1, 2, 4 ….
        seeds: Draws of the few.
        seed: Of the folds.
    """

    k: PositiveInt = 20
    folds: PositiveInt = 5
    shots: PositiveInt = MOST
    seeds: PositiveInt = 20
    seed: NonNegativeInt = 0

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, eq=False)
class Division:
    """What is judged, in which folds, with which few patches: the same for every network.

    Attributes:
        labels: int64 [N], 0 to C - 1.
        class_names: C.
        units: int64 [N], 0 to U - 1: patients, or what stands in for them.
        unit: What these are.
        fold: int64 [N]: in which each row is judged.
        protocol: How.
    """

    labels: Int
    class_names: tuple[str, ...]
    units: Int
    unit: str
    fold: Int
    protocol: Protocol

    @classmethod
    def of(
        cls, labels: Int, class_names: Sequence[str], units: Int, unit: str, protocol: Protocol
    ) -> Division:
        """Divide patients into folds, each like the whole in its classes.

        Raises:
            FeaturesError: Fewer than two patients; a class of one patient alone; fewer patches
                than neighbours without a fold.
        """
        names, numbers = np.unique(units, return_inverse=True)
        one = unit.removesuffix("s")
        if len(names) < 2:
            raise FeaturesError(
                f"all {len(labels)} labelled patches are of one {one}",
                "Give features of several: each is judged by the others.",
            )
        folds = min(max(2, protocol.folds), len(names))
        shares = [1 / folds] * folds
        fold = divide(labels, [str(i) for i in numbers.tolist()], shares, protocol.seed)
        for number in range(folds):
            present = np.bincount(labels[fold != number], minlength=len(class_names)) > 0
            if not present.all():
                raise FeaturesError(
                    f"class {class_names[int(present.argmin())]!r} has no patches left when a fold "
                    f"of {unit} is left out",
                    f"Add {unit} that have it.",
                )
        left = int(min(np.count_nonzero(fold != number) for number in range(folds)))
        if protocol.k > left:
            raise FeaturesError(
                f"k = {protocol.k} neighbours asked of {left} patches that remain when a fold of "
                f"{unit} is left out",
                f"Lower --k, or add patches of other {unit}.",
            )
        return cls(labels, tuple(class_names), numbers, unit, fold, protocol)

    @cached_property
    def folds(self) -> list[tuple[Int, Int]]:
        """Of each fold the rows that are learnt from and those that are judged."""
        numbers = range(int(self.fold.max()) + 1)
        return [(np.flatnonzero(self.fold != f), np.flatnonzero(self.fold == f)) for f in numbers]

    @cached_property
    def shots(self) -> tuple[int, ...]:
        """1, 2, 4 … as far as every class of every training has them."""
        fewest = [numbers_of_shots(self.labels[fit], self.protocol.shots) for fit, _ in self.folds]
        return min(fewest, key=len)

    @cached_property
    def few(self) -> Mapping[tuple[int, int, int], Int]:
        """By shots, seed and fold the rows that are learnt from."""
        return {
            (shots, seed, number): fit[support(self.labels[fit], self.units[fit], shots, seed)]
            for number, (fit, _) in enumerate(self.folds)
            for shots in self.shots
            for seed in range(self.protocol.seeds)
        }


@dataclass(frozen=True, eq=False)
class Trial:
    """What a network's features say of every row, by those of other patients.

    Attributes:
        knn: float32 [N, C], the table's k-NN.
        probe: float32 [N, C].
        by_k: float32 [N, C] by number of neighbours.
        few: int64 [seeds, N], the class that is said, by shots.
        c: Which C each fold's probe chose.
    """

    knn: Float
    probe: Float
    by_k: Mapping[int, Float]
    few: Mapping[int, Int]
    c: tuple[float, ...]


def try_out(values: Float, division: Division) -> Trial:
    """Judge features.

    Args:
        values: float32 [N, D], finite.
        division: Of the same rows.
    """
    labels, count = division.labels, len(division.class_names)
    steps: dict[int, Float] = {}
    knn = np.empty((len(labels), count), np.float32)
    k = division.protocol.k
    widest = max(k, min(CURVE_K, *(len(fit) for fit, _ in division.folds)))
    for fit, test in division.folds:
        near = Reference(values[fit], _nobody(fit), replace(UNI, k=widest)).search(
            values[test], _nobody(test)
        )  # the copies go before the probe makes its own
        own = labels[fit][near.rows]
        knn[test] = vote(own[:, :k], near.distances[:, :k], count, UNI.weights)
        for step, scores in scores_by_k(own, near.distances, count, UNI.weights):
            steps.setdefault(step, np.empty_like(knn))[test] = scores
    return _with_learnt([values] * len(division.folds), division, knn, steps)


def try_colour(colours: Float, division: Division) -> Trial:
    """Judge nothing but each patch's RGB mean and deviation: the yardstick.

    k-NN is `reference.colour`'s, by distance; few shots are of the six, standardised.

    Args:
        colours: float32 [N, 6], finite.
        division: Of the same rows.
    """
    labels, count = division.labels, len(division.class_names)
    wanted = sorted({1, 2, 5, 10, 20, 50, 100, CURVE_K, division.protocol.k})
    steps = {k: np.empty((len(labels), count), np.float32) for k in wanted}
    for fit, test in division.folds:
        for k, scores in steps.items():
            scores[test] = colour_baseline(colours[fit], labels[fit], colours[test], count, k)
    standard = [_standardised(colours, fit) for fit, _ in division.folds]
    fewest = min(len(fit) for fit, _ in division.folds)
    curve = {k: scores for k, scores in steps.items() if k <= fewest}
    return _with_learnt(standard, division, steps[division.protocol.k], curve)


def _standardised(colours: Float, fit: Int) -> Float:
    """Columns less the mean, by the deviation, of the rows that are learnt from alone."""
    spread = np.maximum(colours[fit].std(axis=0), 1e-6)
    return np.asarray((colours - colours[fit].mean(axis=0)) / spread, np.float32)


def _nobody(rows: Int) -> Int:
    return np.full((len(rows), 2), UNKNOWN)  # who is left out the folds decide


def _with_learnt(
    values: Sequence[Float], division: Division, knn: Float, by_k: Mapping[int, Float]
) -> Trial:
    """The probe and the few shots beside a k-NN; `values` as each fold sees them."""
    labels, chosen = division.labels, []
    probed = np.empty_like(knn)
    for own, (fit, test) in zip(values, division.folds, strict=True):
        probe = Probe(own[fit], labels[fit], division.units[fit], None)
        probed[test] = probe.scores(own[test], np.full(len(test), UNKNOWN))
        chosen += probe.chosen
        del probe  # with its copy of what it learnt from
    seeds = division.protocol.seeds
    few = {shots: np.empty((seeds, len(labels)), np.int64) for shots in division.shots}
    for (shots, seed, number), rows in division.few.items():
        own, asked = values[number], division.folds[number][1]
        few[shots][seed, asked] = nearest_mean(own[rows], labels[rows], own[asked])
    return Trial(knn, probed, dict(by_k), few, tuple(chosen))
