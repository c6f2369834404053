"""Several networks' features side by side: figures, paired differences, curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from histocnn.evaluation.encoder_trial import Division, Trial
from histocnn.metrics import confusion
from histocnn.metrics.intervals import Figures as Weighted
from histocnn.metrics.intervals import Floats, bootstrap, paired_bootstrap
from histocnn.metrics.multiplicity import holm
from histocnn.metrics.patch import described, number
from histocnn.metrics.sections import Figure, Gap, Interval, NeighbourPoint
from histocnn.metrics.tally import tally
from histocnn.metrics.terms import UNKNOWN, Terms

FIGURES = ("balanced_accuracy", "macro_auroc", "accuracy")
PRIMARY = "balanced_accuracy"  # the one that few shots have, too
METHODS = ("knn", "probe")
COLOUR = "colour alone"
Against = Literal["best", "first"]


@dataclass(frozen=True)
class Subject:
    """A network, as the table names it.

    Attributes:
        name: Of its folder.
        network: Architecture or encoder, and the layers.
        width: Features per patch.
        patch_px: Side of the patches; None unknown, or of several.
        mpp: µm/px of the patches; likewise.
        terms: By whose leave its features may be used.
    """

    name: str
    network: str
    width: int
    patch_px: int | None
    mpp: float | None
    terms: Terms = UNKNOWN


@dataclass(frozen=True)
class Shots:
    """Balanced accuracy by the nearest mean of a few labelled patches per class.

    Attributes:
        shots: Patches of each class.
        figure: The mean over draws, its interval over patients.
        spread: Standard deviation over draws.
        gap: Minus that of the network that it is compared with; None of itself.
    """

    shots: int
    figure: Figure
    spread: float
    gap: Gap | None = None


@dataclass(frozen=True)
class Row:
    """What came of one network.

    Attributes:
        subject: The network.
        figures: By method and figure.
        gaps: By method and figure, minus that of the network that it is compared with; empty of
            itself.
        few: By growing shots.
        by_k: Figures of the k-NN by growing k.
        c: Which C each fold's probe chose.
    """

    subject: Subject
    figures: Mapping[str, Mapping[str, Figure]]
    gaps: Mapping[str, Mapping[str, Gap]]
    few: tuple[Shots, ...]
    by_k: tuple[NeighbourPoint, ...]
    c: tuple[float, ...]


@dataclass(frozen=True)
class Compared:
    """Networks' features of the same patches.

    Attributes:
        n: Patches judged.
        left_out: Labelled patches of which some network has no features.
        class_names: C.
        counts: Patches of each.
        interval: What intervals rest on.
        folds: In which patients were judged.
        k: Neighbours of the table's k-NN.
        seeds: Draws of the few.
        against: By method (`few` with them) the network that the others are compared with.
        chosen: How: the best on these patches, or the first that was given.
        rows: In the order given, colour alone last.
    """

    n: int
    left_out: int
    class_names: tuple[str, ...]
    counts: tuple[int, ...]
    interval: Interval
    folds: int
    k: int
    seeds: int
    against: Mapping[str, str]
    chosen: Against
    rows: tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class _Judged:
    """One network's figures as functions of the patients' weights."""

    subject: Subject
    trial: Trial
    methods: Mapping[str, Weighted]
    few: Mapping[int, Weighted]

    def once(self, method: str, shots: int = 0) -> dict[str, Floats]:
        """The figures with each patient counted once."""
        own = self.few[shots] if shots else self.methods[method]
        return dict(own(self.ones))

    ones: Floats


def summed_up(
    tried: Sequence[tuple[Subject, Trial]],
    division: Division,
    *,
    against: Against = "best",
    replicates: int = 1000,
    left_out: int = 0,
) -> Compared:
    """Figures of every network with intervals over patients, and differences paired by them.

    Args:
        tried: The networks in their order; colour alone, where it is among them, last.
        division: What they were tried on.
        against: What each is compared with: the best by balanced accuracy (colour alone is none),
            method by method, or the first.
        replicates: Of the bootstrap.
        left_out: Labelled patches without features.
    """
    judged = [_judge(subject, trial, division) for subject, trial in tried]
    presence = np.zeros((int(division.units.max()) + 1, len(division.class_names)))
    np.add.at(presence, (division.units, division.labels), 1)
    networks = [one for one in judged if one.subject.name != COLOUR] or judged
    best: dict[str, _Judged] = {}
    for method in (*METHODS, "few"):
        best[method] = networks[0] if against == "first" else max(networks, key=_by(method))
    pairs = _Pairs(presence, replicates)
    rows = [_row(one, best, pairs, division) for one in judged]
    intervals = bootstrap(judged[0].methods["knn"], presence, replicates=replicates)
    return Compared(
        n=len(division.labels),
        left_out=left_out,
        class_names=division.class_names,
        counts=tuple(np.bincount(division.labels).tolist()),
        interval=described(intervals, division.unit),
        folds=len(division.folds),
        k=division.protocol.k,
        seeds=division.protocol.seeds,
        against={method: one.subject.name for method, one in best.items()},
        chosen=against,
        rows=tuple(_corrected(rows)),
    )


def _by(method: str) -> Callable[[_Judged], float]:
    """What the best is best by; of few shots the mean over their numbers."""

    def worth(one: _Judged) -> float:
        if method != "few":
            return float(one.once(method)[PRIMARY][0])
        return float(np.mean([one.once("", shots)[PRIMARY][0] for shots in one.few]))

    return worth


def _judge(subject: Subject, trial: Trial, division: Division) -> _Judged:
    names = division.class_names

    def of(scores: NDArray[np.float32]) -> Weighted:
        counted = tally(scores, division.labels, division.units, names)

        def figures(weights: Floats) -> dict[str, Floats]:
            whole = len(weights) == 1 and (weights == 1).all()
            found = counted.figures(None if whole else weights)
            return {name: found[name] for name in FIGURES}

        return figures

    methods = {"knn": of(trial.knn), "probe": of(trial.probe)}
    few = {shots: _few(said, division) for shots, said in trial.few.items()}
    ones = np.ones((1, int(division.units.max()) + 1))
    return _Judged(subject, trial, methods, few, ones)


def _few(said: NDArray[np.int64], division: Division) -> Weighted:
    """Balanced accuracy of each draw (`0`, `1` …) and their mean, under weights of patients."""
    count = len(division.class_names)
    shape = int(division.units.max()) + 1, count, count
    tables = []
    for own in said:
        table = np.zeros(shape)
        np.add.at(table, (division.units, division.labels, own), 1)
        tables.append(table)

    def figures(weights: Floats) -> dict[str, Floats]:
        draws = [
            confusion.figures(np.tensordot(weights, table, axes=1), division.class_names)[PRIMARY]
            for table in tables
        ]
        return {PRIMARY: np.mean(draws, axis=0), "spread": np.std(draws, axis=0)}

    return figures


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Bootstraps of the same patients."""

    presence: Floats
    replicates: int

    def figures(self, own: Weighted) -> dict[str, Figure]:
        bounds = bootstrap(own, self.presence, replicates=self.replicates).bounds
        once = own(np.ones((1, len(self.presence))))
        return {
            name: Figure(number(value), *bounds.get(name, (None, None)))
            for name, value in once.items()
        }

    def gaps(self, own: Weighted, other: Weighted) -> dict[str, Gap]:
        once = own(np.ones((1, len(self.presence)))), other(np.ones((1, len(self.presence))))
        found = paired_bootstrap(own, other, self.presence, replicates=self.replicates)
        gaps = {}
        for name in once[0]:
            first, second = (float(each[name][0]) for each in once)
            gap = found.get(name)
            bounds = (gap.low, gap.high, gap.p) if gap else (None, None, None)
            gaps[name] = Gap(number(first), number(second), number(first - second), *bounds)
        return gaps


def _row(one: _Judged, best: Mapping[str, _Judged], pairs: _Pairs, division: Division) -> Row:
    figures = {method: pairs.figures(own) for method, own in one.methods.items()}
    gaps = {
        method: pairs.gaps(own, best[method].methods[method])
        for method, own in one.methods.items()
        if best[method] is not one
    }
    few = []
    for shots, own in one.few.items():
        found = pairs.figures(own)
        gap = None
        if best["few"] is not one:
            gap = pairs.gaps(own, best["few"].few[shots])[PRIMARY]
        few.append(Shots(shots, found[PRIMARY], float(found["spread"].value or 0), gap))
    curve = []
    for k, scores in one.trial.by_k.items():
        alone = np.zeros(len(division.labels), np.int64)
        all_of_it = tally(scores, division.labels, alone, division.class_names).figures()
        point = {name: number(all_of_it[name]) for name in FIGURES}
        curve.append(NeighbourPoint(k, **point))
    return Row(one.subject, figures, gaps, tuple(few), tuple(curve), one.trial.c)


def _corrected(rows: Sequence[Row]) -> list[Row]:
    """Holm's correction of balanced accuracy among the networks, method by method."""
    found = [dict(row.gaps) for row in rows]
    for method in METHODS:
        known = {i: own.p for i, of_row in enumerate(found)
                 if (own := of_row.get(method, {}).get(PRIMARY)) and own.p is not None}  # fmt: skip
        for i, p in zip(known, holm(list(known.values())), strict=True):
            gaps = dict(found[i][method])
            found[i][method] = {**gaps, PRIMARY: replace(gaps[PRIMARY], p_corrected=float(p))}
    return [replace(row, gaps=gaps) for row, gaps in zip(rows, found, strict=True)]
