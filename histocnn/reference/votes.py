"""How neighbours vote: scores from their labels and distances.

>>> vote(np.array([[0, 1, 1]]), np.array([[1, 2, 2]], np.float32), 2, "distance").tolist()
[[0.5, 0.5]]
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from histocnn.reference.neighbours import UNKNOWN, Float, Int, Weights


def vote(labels: Int, distances: Float, num_classes: int, weights: Weights) -> Float:
    """Scores float32 [N, C] from the neighbours' labels and distances, both [N, k].

    By distance, a vote counts 1 / distance; where some distances are 0 only those count, as in
    scikit-learn. A row without neighbours (label -1) is NaN.
    """
    weight = np.ones(labels.shape)
    if weights == "distance":
        zero = distances == 0
        near = zero.any(1, keepdims=True)
        weight = np.where(near, zero, 1 / np.where(zero, 1, distances.astype(np.float64)))
    weight = np.where(labels == UNKNOWN, 0, weight)
    total = weight.sum(1)
    scores = np.full((len(labels), num_classes), np.nan, np.float32)
    voted = total > 0
    for c in range(num_classes):
        scores[voted, c] = np.where(labels == c, weight, 0).sum(1)[voted] / total[voted]
    return scores


def scores_by_k(
    labels: Int, distances: Float, num_classes: int, weights: Weights
) -> Iterator[tuple[int, Float]]:
    """Yield (k, scores [N, C]) for k = 1, 2, 5, 10 … up to the stored k; nothing is searched."""
    stored = labels.shape[1]
    steps = [f * 10**e for e in range(len(str(stored))) for f in (1, 2, 5)]
    for k in sorted({k for k in steps if k < stored} | {stored}):
        yield k, vote(labels[:, :k], distances[:, :k], num_classes, weights)
