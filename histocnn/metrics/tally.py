"""Patch scores summed per patient, so that any resampling of patients costs no second look at them.

Every patch figure is a function of sums over patches: the confusion matrix, the squared error, the
counts in confidence bins, and the counts of positives and negatives along each class's score. A
bootstrap replicate is a weighting of patients, and its sums are a matrix product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.errors import MetricError
from histocnn.metrics import confusion, counts
from histocnn.metrics.calibration import usable

Floats = NDArray[np.float64]
Points = Mapping[str, Mapping[str, Mapping[str, float]]]

BINS = 15  # equal-width confidence bins of the calibration error
STEPS = 1 << 15  # of a score's distribution; more distinct scores than this are grouped by rank
AT_ONCE = 64  # replicates whose curves are in memory together


@dataclass(frozen=True, eq=False)
class Ladder:
    """One class's positives and negatives per patient, along its score from the highest down."""

    positives: Any  # scipy csr float64 [G, B]
    negatives: Any
    auroc: float  # of all patches, from their ungrouped scores
    average_precision: float


@dataclass(frozen=True, eq=False)
class Tally:
    """What patch figures are made of, for G patients.

    Attributes:
        class_names: C names.
        confusion: float64 [G, C, C]; rows are truth.
        squared_error: float64 [G]: summed (score - truth)² over patches and classes.
        bins: float64 [G, 15, 3]: patches, summed confidence, right ones, per confidence bin.
        ladders: One per class.
        points: {(class, point): float64 [G, 4]}: true and false positives, positives, negatives.
    """

    class_names: tuple[str, ...]
    confusion: Floats
    squared_error: Floats
    bins: Floats
    ladders: tuple[Ladder, ...]
    points: dict[tuple[str, str], Floats]

    @property
    def patches(self) -> Floats:
        """Patches of each class for every patient, float64 [G, C]."""
        counted: Floats = self.confusion.sum(axis=2)
        return counted

    def figures(self, weights: ArrayLike | None = None) -> dict[str, Floats]:
        """Compute every figure under R weightings of the patients.

        Args:
            weights: float [R, G], e.g. how often each patient was drawn; None = each once, where
                AUROC and average precision are exact. Under weights they are exact too up to
                32,768 distinct scores, beyond that within 1e-4 (benchmarks/bootstrap.py).

        Returns:
            {figure: float64 [R]}, one class's as `figure:class`; NaN where undefined.
        """
        if weights is None:
            once = np.ones((1, len(self.confusion)))
            return self._sums(once) | self._means(
                {
                    name: np.array([[getattr(ladder, name)] for ladder in self.ladders])
                    for name in ("auroc", "average_precision")
                }
            )
        weights = np.asarray(weights, np.float64)
        parts = [
            self._areas(weights[i : i + AT_ONCE]) for i in range(0, max(len(weights), 1), AT_ONCE)
        ]
        areas = {name: np.concatenate([p[name] for p in parts], axis=1) for name in parts[0]}
        return self._sums(weights) | self._means(areas)

    def _sums(self, weights: Floats) -> dict[str, Floats]:
        matrices = np.tensordot(weights, self.confusion, axes=1)
        result = confusion.figures(matrices, self.class_names)
        n = matrices.sum(axis=(1, 2))
        bins = np.tensordot(weights, self.bins, axes=1)
        halved = 2 if len(self.class_names) == 2 else 1
        with np.errstate(invalid="ignore", divide="ignore"):
            result["brier"] = weights @ self.squared_error / n / halved
            result["ece"] = np.abs(bins[..., 1] - bins[..., 2]).sum(axis=1) / n
            for (name, point), sums in self.points.items():
                tp, fp, positives, negatives = (weights @ sums).T
                result[f"{point}_sensitivity:{name}"] = tp / positives
                result[f"{point}_specificity:{name}"] = 1 - fp / negatives
        return result

    def _areas(self, weights: Floats) -> dict[str, Floats]:
        """AUROC and average precision, each float64 [C, R]."""
        result: dict[str, list[Floats]] = {"auroc": [], "average_precision": []}
        for ladder in self.ladders:
            tp, fp = (
                np.pad(np.cumsum((side.T @ weights.T).T, axis=1), ((0, 0), (1, 0)))
                for side in (ladder.positives, ladder.negatives)
            )
            result["auroc"].append(counts.auroc(tp, fp))
            result["average_precision"].append(counts.average_precision(tp, fp))
        return {name: np.stack(rows) for name, rows in result.items()}

    def _means(self, areas: dict[str, Floats]) -> dict[str, Floats]:
        """Add the mean over the classes where an area is defined to each class's own."""
        result = {}
        for name, rows in areas.items():
            defined = ~np.isnan(rows)
            with np.errstate(invalid="ignore"):
                total = np.where(defined, rows, 0).sum(axis=0)
                result[f"macro_{name}"] = total / defined.sum(axis=0)
            for class_name, row in zip(self.class_names, rows, strict=True):
                result[f"{name}:{class_name}"] = row
        return result


def tally(
    scores: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    class_names: Sequence[str],
    points: Points | None = None,
) -> Tally:
    """Sum scores and truth per patient; unlabelled (-1) and unscored (NaN) patches take no part.

    The prediction is the class of the highest score, the first of equals. The Brier score is
    Brier's own (Monthly Weather Review 1950), halved for two classes as in scikit-learn. The
    calibration error takes the top label in 15 equal-width bins (Guo et al., ICML 2017).

    Args:
        scores: float [N, C], rows sum to 1 or are NaN.
        labels: int [N], -1 = unknown.
        groups: int [N], 0 .. G - 1: the patient of each patch.
        class_names: C names.
        points: {class: {point: {"threshold": t}}}, as `calibration.operating_points` gives.

    Returns:
        Tally of G patients.

    Raises:
        MetricError: No patch is both labelled and scored, or shapes differ.
    """
    keep = usable(scores, labels)
    if not keep.any():
        raise MetricError("no patch is both labelled and scored", "Check labels and class names.")
    score, truth = np.asarray(scores)[keep], np.asarray(labels)[keep].astype(np.intp)
    if score.shape[1] != len(class_names):
        raise MetricError(
            f"{score.shape[1]} scores per patch, but {len(class_names)} class names",
            "Name the class of every column.",
        )
    n_groups, c = int(np.max(groups)) + 1, len(class_names)
    group = np.asarray(groups)[keep].astype(np.intp)
    column = {name: index for index, name in enumerate(class_names)}
    cell = (group * c + truth) * c + score.argmax(axis=1)
    return Tally(
        class_names=tuple(class_names),
        confusion=_sums(cell, n_groups * c * c).reshape(n_groups, c, c),
        squared_error=_sums(group, n_groups, _squared_error(score, truth)),
        bins=_confidence_bins(score, truth, group, n_groups),
        ladders=tuple(_ladder(score[:, k], truth == k, group, n_groups) for k in range(c)),
        points={
            (name, point): _at_threshold(
                score[:, k] >= values["threshold"], truth == k, group, n_groups
            )
            for name, k in column.items()
            for point, values in (points or {}).get(name, {}).items()
        },
    )


def _sums(index: NDArray[np.intp], length: int, values: Floats | None = None) -> Floats:
    """Count, or sum values, per index."""
    return np.bincount(index, values, minlength=length).astype(np.float64, copy=False)


def _confidence_bins(
    score: NDArray[Any], truth: NDArray[np.intp], group: NDArray[np.intp], groups: int
) -> Floats:
    confidence = score.max(axis=1).astype(np.float64)
    right = (score.argmax(axis=1) == truth).astype(np.float64)
    # Bins are (a, b], as published; the first takes 0 too.
    bin_of = np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)
    cell = group * BINS + bin_of
    sums = [_sums(cell, groups * BINS, values) for values in (None, confidence, right)]
    return np.stack(sums, axis=-1).reshape(groups, BINS, 3)


def _squared_error(score: NDArray[Any], truth: NDArray[np.intp]) -> Floats:
    """Sum over classes of (score - one-hot truth)², without building the one-hot matrix."""
    squares = np.einsum("nc,nc->n", score, score, dtype=np.float64)
    of_true = score[np.arange(len(score)), truth].astype(np.float64)
    error: Floats = squares - 2 * of_true + 1
    return error


def _at_threshold(
    called: NDArray[np.bool_], positive: NDArray[np.bool_], group: NDArray[np.intp], groups: int
) -> Floats:
    masks = (called & positive, called & ~positive, positive, ~positive)
    return np.stack([_sums(group[mask], groups) for mask in masks], axis=1)


def _ladder(
    score: NDArray[Any], positive: NDArray[np.bool_], group: NDArray[np.intp], groups: int
) -> Ladder:
    """Count one class along its score, in steps of equal scores; of rank where these are too many.

    Steps of rank are finer towards the top (rank goes with step²), where the precision of a rare
    class changes fastest.
    """
    from scipy.sparse import coo_array

    order = np.argsort(score)[::-1]
    score, positive, group = score[order], positive[order], group[order]
    first = np.flatnonzero(np.diff(score, prepend=np.inf))  # of each run of equal scores
    lengths = np.diff(first, append=len(score))
    last = first + lengths - 1
    tp = np.append(0.0, np.cumsum(positive)[last])
    fp = np.append(0.0, last + 1 - tp[1:])
    n_steps = len(first)
    step_of_run = np.arange(n_steps)
    if n_steps > STEPS:
        step_of_run, n_steps = (np.sqrt(first / len(score)) * STEPS).astype(np.intp), STEPS
    step = np.repeat(step_of_run, lengths)

    def side(mask: NDArray[np.bool_]) -> Any:
        ones = np.ones(np.count_nonzero(mask))
        return coo_array((ones, (group[mask], step[mask])), shape=(groups, n_steps)).tocsr()

    return Ladder(
        positives=side(positive),
        negatives=side(~positive),
        auroc=float(counts.auroc(tp, fp)),
        average_precision=float(counts.average_precision(tp, fp)),
    )
