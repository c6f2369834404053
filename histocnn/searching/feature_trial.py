"""Trials over feature files: k-NN and probe in seconds, in the worker's own process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.splits import read_split, split
from histocnn.cohort.table import read_table
from histocnn.cohort.whose import owners
from histocnn.errors import CohortError, FeaturesError
from histocnn.metrics.patch import Groups, number
from histocnn.metrics.tally import tally
from histocnn.reference.apart import left_out
from histocnn.reference.features import Features, feature_files, load
from histocnn.reference.methods import ByRegression
from histocnn.reference.neighbours import Knn, Reference
from histocnn.reference.votes import vote
from histocnn.searching.folds import SPLIT, fold_file
from histocnn.searching.judging import FOLD_STEPS, Judged, Report, TrialFailedError, Values
from histocnn.searching.options import FeatureOptions
from histocnn.searching.plan import Plan


@dataclass(eq=False)
class FeatureTrials:
    """Judges trials over the feature files of a search.

    Attributes:
        plan: The search.
        out: Its folder, which holds the folds.
    """

    plan: Plan
    out: Path

    def __post_init__(self) -> None:
        self._sets: dict[str, Features] = {}

    @cached_property
    def _inside(self) -> list[str]:
        """The groups of training and validation, which alone are looked at."""
        return [row["group"] for _, row in read_table(fold_file(self.out, 0), ("group", "split"))]

    def run(self, values: Values, folder: Path, report: Report, deadline: float | None) -> Judged:
        """Judge a configuration on each fold.

        Raises:
            TrialFailedError: The metric is undefined on a fold.
            HistocnnError: As the method.
        """
        options, found = self.plan.features(values), []
        if options.use not in self._sets:
            self._sets[options.use] = only(read(options), self._inside)
        rows = self._sets[options.use]
        for fold in range(self.plan.search.folds):
            parts = read_split(fold_file(self.out, fold), groups_of(rows))
            train, val = (rows.only(np.flatnonzero(parts == part)) for part in ("train", "val"))
            value = figure(scores(train, val, options), val, self.plan.search.metric)
            if value is None:
                metric = self.plan.search.metric
                raise TrialFailedError(f"{metric} is undefined on the patients of fold {fold}")
            found.append(value)
            report(fold * FOLD_STEPS, float(np.mean(found)))
        return Judged(found)


def read(options: FeatureOptions) -> Features:
    """The labelled rows of the set that is used.

    Raises:
        HistocnnError: As `features.load`; of some row neither patient nor slide is known.
    """
    rows = load(feature_files(options.sets[options.use])).labelled()
    if "" in groups_of(rows):
        raise CohortError(
            f"{options.sets[options.use]}: of some rows neither patient nor slide is known",
            "Embed them with --patient_pattern, or a patient_id column.",
        )
    return rows


def groups_of(rows: Features) -> list[str]:
    """Each row's patient, its slide where that is not known."""
    return [p or s for p, s in zip(rows.patient_ids, rows.slide_ids, strict=True)]


def only(rows: Features, groups: Sequence[str]) -> Features:
    """The rows of these groups."""
    wanted = set(groups)
    return rows.only(np.flatnonzero([group in wanted for group in groups_of(rows)]))


def divided(options: FeatureOptions) -> tuple[NDArray[np.int64], list[str], NDArray[np.str_]]:
    """Labels, groups and splits of the rows of the set that is used."""
    rows = read(options)
    groups = groups_of(rows)
    if options.split_file is not None:
        return rows.labels, groups, read_split(options.split_file, groups)
    parts = split(rows.labels, groups, fractions=options.fractions, seed=options.split_seed)
    return rows.labels, groups, parts


def scores(examples: Features, queries: Features, options: FeatureOptions) -> NDArray[np.float32]:
    """Scores float32 [M, C] of rows by labelled ones of other patients.

    Raises:
        FeaturesError: A class has no example; fewer examples than neighbours.
    """
    if len(np.unique(examples.labels)) < len(examples.class_names):
        raise FeaturesError("a class has no examples in a fold", "Take fewer folds.")
    if options.method == "probe":
        method = ByRegression(examples, options.c, "patient", options.colour)
        return np.asarray(method.arrays(queries)["scores"])
    knn = Knn(options.k, options.metric, options.weights, options.center)
    index = Reference(examples.values, examples.groups, knn)
    nearest = index.search(queries.values, left_out(queries, examples, "patient"))
    labels = examples.labels[nearest.rows]
    return vote(labels, nearest.distances, len(examples.class_names), knn.weights)


def figure(found: NDArray[np.float32], rows: Features, metric: str) -> float | None:
    """A figure of scores [N, C] of labelled rows; None where it is undefined.

    Raises:
        TrialFailedError: There is no such figure of these classes.
    """
    one = np.zeros(len(rows), np.int64)
    figures = tally(found, rows.labels, one, rows.class_names).figures()
    if metric not in figures:
        raise TrialFailedError(f"{metric}: the classes are {', '.join(rows.class_names)}")
    value: float | None = number(np.asarray(figures[metric]).reshape(-1)[0])
    return value


@dataclass(frozen=True, eq=False)
class TestScores:
    """What a configuration says of the test patients.

    Attributes:
        scores: float32 [N, C].
        labels: int64 [N].
        class_names: C.
        groups: What intervals resample.
        keys: Of each row, so that two configurations' rows can be paired.
    """

    __test__ = False  # no test of pytest's

    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    groups: Groups
    keys: tuple[Any, ...]


def on_test(out: Path, options: FeatureOptions, *, refit: bool) -> TestScores:
    """Score the test patients by those of training, and of validation, too, if asked.

    Raises:
        HistocnnError: As `scores`.
    """
    rows = read(options)
    parts = read_split(out / SPLIT, groups_of(rows))
    learnt = np.isin(parts, ("train", "val")) if refit else parts == "train"
    train, test = rows.only(np.flatnonzero(learnt)), rows.only(np.flatnonzero(parts == "test"))
    own = owners(test.slide_ids, test.patient_ids)
    names = [path.name for path in rows.files]
    keys = zip([names[i] for i in test.file], test.row.tolist(), strict=True)
    return TestScores(
        scores(train, test, options),
        test.labels,
        test.class_names,
        Groups(own.of_row, own.unit),
        tuple(keys),
    )
