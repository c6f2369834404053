"""Figures of patches: one nested dict that goes into metrics.json as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from histocnn.metrics.calibration import usable
from histocnn.metrics.tally import Points, Tally, tally


def figures(
    scores: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    operating_points: Points | None = None,
) -> dict[str, Any]:
    """Compute all patch figures: see `tally` and `confusion.figures` for their definitions.

    Args:
        scores: float [N, C], rows sum to 1 or are NaN.
        labels: int [N], -1 = unknown.
        class_names: C names.
        operating_points: Stored thresholds, {class: {point: {"threshold": t}}}.

    Returns:
        Patches counted (`n`) and left out (`n_unlabelled`, `n_unscored`), every figure,
        `per_class`, `confusion` and `reliability`; None where a figure is undefined, such as the
        AUROC of one class only.

    Raises:
        MetricError: No patch is both labelled and scored, or shapes differ.
    """
    counted = tally(
        scores, labels, np.zeros(len(np.asarray(labels)), int), class_names, operating_points
    )
    return excluded(scores, labels) | nested(counted.figures()) | details(counted)


def excluded(scores: ArrayLike, labels: ArrayLike) -> dict[str, int]:
    """Count the patches that figures are made from, and those left out, by reason."""
    unlabelled = np.asarray(labels) < 0
    return {
        "n": int(usable(scores, labels).sum()),
        "n_unlabelled": int(unlabelled.sum()),
        "n_unscored": int((np.isnan(np.asarray(scores)).any(axis=1) & ~unlabelled).sum()),
    }


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Gather `figure:class` under `per_class`; arrays of one become a number, NaN becomes None."""
    result: dict[str, Any] = {}
    per_class: dict[str, dict[str, Any]] = {}
    for key, value in flat.items():
        figure, _, class_name = key.partition(":")
        if class_name:
            per_class.setdefault(class_name, {})[figure] = number(value)
        else:
            result[figure] = number(value)
    return result | {"per_class": per_class}


def number(value: Any) -> Any:
    """Turn a NumPy scalar or an array of one into what JSON can hold; NaN into None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def details(counted: Tally) -> dict[str, Any]:
    """Give the confusion matrix (rows are truth) and the reliability diagram's bins."""
    patches, confidence, right = counted.bins.sum(axis=0).T
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_confidence, accuracy = confidence / patches, right / patches
    return {
        "confusion": counted.confusion.sum(axis=0).astype(int).tolist(),
        "reliability": [
            {"n": int(n), "confidence": number(c), "accuracy": number(a)}
            for n, c, a in zip(patches, mean_confidence, accuracy, strict=True)
        ],
    }
