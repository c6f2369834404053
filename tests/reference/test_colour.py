"""Colour alone: six numbers per patch, standardised, compared like any features."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from histocnn.errors import FeaturesError
from histocnn.reference.colour import colour, colour_baseline


def test_colour_of_patches() -> None:
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    pixels[0, :2] = (10, 20, 30)
    assert colour(pixels).tolist() == [[5, 10, 15, 5, 10, 15], [0] * 6]
    assert colour(pixels[:0]).shape == (0, 6)


def test_colour_baseline_is_standardised_nearest_neighbours() -> None:
    rng = np.random.default_rng(1)
    train = rng.normal(100, 1, (60, 6))
    labels = np.arange(60) % 2
    train[labels == 1, 4] += 6
    train[:, 0] *= 1000  # would drown the rest, were it not standardised
    test = rng.normal(100, 1, (20, 6))
    test[:, 0] *= 1000
    test[10:, 4] += 6
    train[0], labels[1], test[3, 2] = np.nan, -1, np.nan
    scores = colour_baseline(train, labels, test, 2, k=5)
    assert np.isnan(scores[3]).all()
    keep = np.arange(20) != 3
    assert (scores[keep].argmax(1) == (np.arange(20) >= 10)[keep]).mean() > 0.9
    rows = slice(2, None)
    mean, deviation = train[rows].mean(0), train[rows].std(0)
    peer = KNeighborsClassifier(5, weights="distance").fit(
        (train[rows] - mean) / deviation, labels[rows]
    )
    np.testing.assert_allclose(
        scores[keep], peer.predict_proba((test[keep] - mean) / deviation), atol=1e-4
    )


def test_colour_baseline_without_labels_is_refused() -> None:
    with pytest.raises(FeaturesError, match="no labelled patch"):
        colour_baseline(np.zeros((3, 6)), [-1, -1, -1], np.zeros((1, 6)), 2)
