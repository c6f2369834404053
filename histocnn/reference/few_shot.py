"""Few labelled patches per class: which are drawn, and the nearest of their means.

SimpleShot (Wang et al., arXiv 1911.04623), as the encoders' authors report few-shot figures:
nothing is fitted, so that the features alone are judged.
"""

from __future__ import annotations

import numpy as np

from histocnn.reference.colour import drawn
from histocnn.reference.neighbours import Float, Int

MOST = 64  # shots


def numbers_of_shots(labels: Int, most: int = MOST) -> tuple[int, ...]:
    """1, 2, 4 … up to `most` and to what every class has.

    >>> numbers_of_shots(np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]))
    (1, 2, 4)
    """
    fewest = min(most, int(np.bincount(labels).min()))
    return tuple(2**i for i in range(fewest.bit_length()))


def support(labels: Int, units: Int, shots: int, seed: int) -> Int:
    """Rows of so many patches of each class, of as many patients as can be.

    More shots by the same seed hold the fewer ones.

    Args:
        labels: int64 [N], 0 to C - 1.
        units: int64 [N], 0 to U - 1: patients.
        shots: Patches of each class.
        seed: Another draw.

    Returns:
        int64 [C × shots], rising within a class.
    """
    rows = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        order = np.random.default_rng([seed, int(label)]).permutation(int(units.max()) + 1)
        rows.append(own[drawn(order[units[own]], shots, seed)])
    return np.concatenate(rows)


def nearest_mean(examples: Float, labels: Int, queries: Float) -> Int:
    """Each query's class by the nearest class mean, int64 [M].

    Centred on the examples' mean and scaled to length 1 first.

    Args:
        examples: float32 [N, D].
        labels: int64 [N], 0 to C - 1, each class there.
        queries: float32 [M, D].
    """
    centre = examples.mean(axis=0)
    own, asked = _unit(examples - centre), _unit(queries - centre)
    means = np.stack([own[labels == label].mean(axis=0) for label in range(labels.max() + 1)])
    # |q - m|² = |q|² - 2 q·m + |m|², of which |q|² is the same for all classes
    far = (means**2).sum(axis=1) - 2 * asked @ means.T
    return np.asarray(far.argmin(axis=1), np.int64)


def _unit(rows: Float) -> Float:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, length, out=np.zeros_like(rows), where=length > 0))
