"""Positives and negatives counted along a score: what ROC and PR curves are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def cumulative(score: ArrayLike, positive: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Count what lies at or above each distinct score, from the highest down.

    Args:
        score: float [N], no NaN.
        positive: bool [N].

    Returns:
        thresholds, true positives and false positives, each float64 [T + 1]. The first threshold
        is the next number above every score, where both counts are 0 (it stays finite for JSON).
    """
    score, positive = np.asarray(score), np.asarray(positive, bool)
    order = np.argsort(score)[::-1]
    score = score[order]
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)  # of each run of equal scores
    tp = np.cumsum(positive[order])[last]
    above = np.nextafter(score[0], np.inf, dtype=score.dtype)
    return (
        np.concatenate([[above], score[last]]).astype(np.float64),
        np.concatenate([[0], tp]).astype(np.float64),
        np.concatenate([[0], last + 1 - tp]).astype(np.float64),
    )


def auroc(tp: Floats, fp: Floats) -> Floats:
    """Area under the ROC curve of cumulative counts, ties counting half.

    Equal to the Mann-Whitney statistic: Hanley and McNeil, Radiology 1982.

    Args:
        tp: Cumulative true positives from the highest score down, starting at 0; [..., T + 1].
        fp: Cumulative false positives, likewise.

    Returns:
        [...]; NaN where a class is missing.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        area: Floats = np.trapezoid(tp, fp, axis=-1) / (tp[..., -1] * fp[..., -1])
    return area


def average_precision(tp: Floats, fp: Floats) -> Floats:
    """Average precision of cumulative counts: precision weighted by each step of recall.

    No interpolation, as scikit-learn; Davis and Goadrich, ICML 2006, say why.

    Args:
        tp: Cumulative true positives from the highest score down, starting at 0; [..., T + 1].
        fp: Cumulative false positives, likewise.

    Returns:
        [...]; NaN where there is no positive.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.nan_to_num(tp[..., 1:] / (tp[..., 1:] + fp[..., 1:]))
        area: Floats = (np.diff(tp, axis=-1) * precision).sum(axis=-1) / tp[..., -1]
    return area
