"""Colour alone: six numbers per patch and what they would score, a yardstick for every result."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.errors import FeaturesError
from histocnn.reference.neighbours import UNKNOWN, Float, Knn, Reference, vote


def colour(pixels: NDArray[np.uint8]) -> Float:
    """RGB mean and deviation of patches uint8 [B, H, W, 3]: float32 [B, 6], in 0 to 255."""
    import cv2

    return np.array(
        [np.concatenate(cv2.meanStdDev(patch)).ravel() for patch in pixels], np.float32
    ).reshape(-1, 6)


def colour_baseline(
    train_colour: ArrayLike,
    train_labels: ArrayLike,
    test_colour: ArrayLike,
    num_classes: int,
    k: int = 20,
) -> Float:
    """What colour alone would score: k-NN on each patch's RGB mean and deviation.

    Each of the six is standardised by the training rows; votes by distance.

    Args:
        train_colour: [N, 6]; rows with NaN or label -1 are left out.
        train_labels: [N], -1 unknown.
        test_colour: [M, 6]; NaN rows get NaN scores.
        num_classes: C.
        k: Neighbours, at most as many as training rows.

    Returns:
        float32 [M, C].

    Raises:
        FeaturesError: No training row is left.
    """
    train, test = np.asarray(train_colour, np.float32), np.asarray(test_colour, np.float32)
    labels = np.asarray(train_labels, np.int64)
    usable = (labels != UNKNOWN) & np.isfinite(train).all(1)
    train, labels = train[usable], labels[usable]
    if not len(train):
        raise FeaturesError("no labelled patch with a colour", "Give labelled training patches.")
    mean, deviation = train.mean(0), train.std(0)
    deviation[deviation == 0] = 1
    knn = Knn(min(k, len(train)), "euclidean", "distance", center=False)
    reference = Reference((train - mean) / deviation, np.full((len(train), 2), UNKNOWN), knn)
    scores = np.full((len(test), num_classes), np.nan, np.float32)
    readable = np.isfinite(test).all(1)
    ungrouped = np.full((int(readable.sum()), 2), UNKNOWN)
    nearest = reference.search((test[readable] - mean) / deviation, ungrouped)
    scores[readable] = vote(labels[nearest.rows], nearest.distances, num_classes, "distance")
    return scores
