"""Colour alone: six numbers per patch, standardised, compared like any features."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from histocnn.errors import FeaturesError
from histocnn.reference.colour import (
    MOST_STORED,
    ColourReference,
    colour,
    colour_baseline,
    colours_of_squares,
    drawn,
    within,
)


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


def test_a_reference_is_stored_and_read_again() -> None:
    rng = np.random.default_rng(3)
    colours, labels = rng.normal(100, 9, (MOST_STORED, 6)), rng.integers(0, 3, MOST_STORED)
    stored = ColourReference(colours.astype(np.float16), labels, 7)
    text = json.dumps(stored.to_dict())
    assert len(text) < 40_000
    found = ColourReference.from_dict(json.loads(text), 3)
    assert found.patients == 7
    queries = rng.normal(100, 9, (30, 6))
    np.testing.assert_array_equal(found.scores(queries, 3), stored.scores(queries, 3))


@pytest.mark.parametrize(
    "changed", [{"patients": "7"}, {"labels": "AAA="}, {"colours": "?"}, {"labels": ""}, {"x": 1}]
)
def test_another_reference_is_refused(changed) -> None:
    stored = ColourReference(np.zeros((2, 6), np.float16), np.array([0, 1]), 1).to_dict()
    with pytest.raises(ValueError, match=r"colours of training|base64|buffer|padding|digit|size"):
        ColourReference.from_dict(stored | changed, 2)
    with pytest.raises(ValueError, match="colours of training"):
        ColourReference.from_dict(stored, 1)


def test_every_patient_is_drawn_alike() -> None:
    patients = np.repeat([5, 7, 9], [1000, 30, 3])
    rows = drawn(patients, 100)
    assert np.unique(patients[rows], return_counts=True)[1].tolist() == [67, 30, 3]
    assert len(set(rows.tolist())) == 100
    assert np.array_equal(rows, drawn(patients, 100))
    assert not np.array_equal(rows, drawn(patients, 100, seed=1))
    assert drawn(patients, 5000).tolist() == list(range(1033))
    assert drawn(np.array([], np.int64), 5).tolist() == []


def test_within_is_of_other_patients_only() -> None:
    """Two patients of two classes, alike in colour within themselves and opposite to each other."""
    colours = np.repeat(np.eye(2, 6, dtype=np.float32), 2, axis=0)
    labels, patients = np.array([0, 0, 1, 1]), np.array([3, 3, 8, 8])
    assert within(colours, labels, patients, 2).argmax(axis=1).tolist() == [1, 1, 0, 0]


def test_squares_of_an_image_have_the_patches_own_colours() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    starts = np.array([[0, 0], [13, 7], [70, 50]])
    patches = np.stack([image[y : y + 20, x : x + 20] for y, x in starts])
    np.testing.assert_allclose(colours_of_squares(image, starts, 20), colour(patches), atol=1e-3)
    reaching_out = colours_of_squares(image, np.array([[-5, -5]]), 20)
    np.testing.assert_allclose(reaching_out, colour(image[None, :15, :15]), atol=1e-3)
    assert colours_of_squares(image, np.array([[-20, 7], [90, 70]]), 20).tolist() == [[0] * 6] * 2
    white = np.full((300, 300, 3), 255, np.uint8)  # squares add up to more than 32 bits
    assert colours_of_squares(white, np.array([[0, 0]]), 300).tolist() == [[255] * 3 + [0] * 3]
