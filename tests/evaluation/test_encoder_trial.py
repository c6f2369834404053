"""What features say of each patient by the others', beside scikit-learn fold by fold."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from histocnn.errors import FeaturesError
from histocnn.evaluation.encoder_trial import Division, Protocol, try_colour, try_out
from histocnn.reference.colour import colour_baseline
from histocnn.reference.few_shot import nearest_mean
from histocnn.reference.linear import STRENGTHS

RNG = np.random.default_rng(0)
UNITS = np.repeat(np.arange(12), 8)
LABELS = np.tile([0, 1], 48)
VALUES = (RNG.normal(size=(96, 5)) + LABELS[:, None] * [2, 0, 0, 0, 0]).astype(np.float32)
PROTOCOL = Protocol(k=7, folds=3, shots=4, seeds=3)
DIVISION = Division.of(LABELS, ("a", "b"), UNITS, "patients", PROTOCOL)


def test_k_nn_is_unis_by_scikit_learn_with_patients_apart() -> None:
    found = try_out(VALUES, DIVISION)
    assert len(DIVISION.folds) == 3
    for fit, test in DIVISION.folds:
        assert not set(UNITS[fit]) & set(UNITS[test])
        mean = VALUES[fit].mean(0)
        own, asked = (x / np.linalg.norm(x, axis=1, keepdims=True)
                      for x in (VALUES[fit] - mean, VALUES[test] - mean))  # fmt: skip
        for k, scores in ((7, found.knn), (1, found.by_k[1]), (20, found.by_k[20])):
            peer = KNeighborsClassifier(k).fit(own, LABELS[fit])
            np.testing.assert_allclose(scores[test], peer.predict_proba(asked), atol=1e-6)
    assert list(found.by_k) == [1, 2, 5, 10, 20, 50, min(len(fit) for fit, _ in DIVISION.folds)]
    assert len(found.c) == 3
    assert set(found.c) <= set(STRENGTHS)
    assert (found.probe.argmax(1) == LABELS).mean() > 0.75


def test_few_shots_are_drawn_from_each_folds_training_and_alike_for_all() -> None:
    found = try_out(VALUES, DIVISION)
    assert list(found.few) == [1, 2, 4]
    fit, test = DIVISION.folds[1]
    rows = DIVISION.few[4, 2, 1]
    assert set(rows.tolist()) <= set(fit.tolist())
    assert np.bincount(LABELS[rows]).tolist() == [4, 4]
    np.testing.assert_array_equal(
        found.few[4][2, test], nearest_mean(VALUES[rows], LABELS[rows], VALUES[test])
    )


def test_colour_alone_is_the_baseline_of_reports() -> None:
    colours = RNG.uniform(0, 255, (96, 6)).astype(np.float32)
    found = try_colour(colours, DIVISION)
    fit, test = DIVISION.folds[0]
    expected = colour_baseline(colours[fit], LABELS[fit], colours[test], 2, k=7)
    np.testing.assert_array_equal(found.knn[test], expected)
    assert 7 in found.by_k
    assert 100 not in found.by_k


def test_colours_of_the_judged_decide_nothing_of_how_they_are_judged() -> None:
    """Neither mean nor deviation: a fold's first patient is judged alike whoever is beside it."""
    colours = RNG.uniform(0, 255, (96, 6)).astype(np.float32) + LABELS[:, None] * 9
    _, test = DIVISION.folds[1]
    first, others = test[UNITS[test] == UNITS[test[0]]], test[UNITS[test] != UNITS[test[0]]]
    stained = colours.copy()
    stained[others] = stained[others] * [9, 1, 1, 1, 1, 1] + 300
    one, other = try_colour(colours, DIVISION), try_colour(stained, DIVISION)
    for shots, said in one.few.items():
        np.testing.assert_array_equal(said[:, first], other.few[shots][:, first])
    np.testing.assert_array_equal(one.knn[first], other.knn[first])


def test_what_cannot_be_divided_is_refused() -> None:
    with pytest.raises(FeaturesError, match="of one patient"):
        Division.of(LABELS, ("a", "b"), np.zeros(96, int), "patients", PROTOCOL)
    with pytest.raises(FeaturesError, match="class 'b' has no patches left"):
        Division.of((UNITS == 3).astype(int), ("a", "b"), UNITS, "slides", PROTOCOL)
    with pytest.raises(FeaturesError, match=r"k = 70 neighbours asked of \d+ patches that remain"):
        Division.of(LABELS, ("a", "b"), UNITS, "patients", Protocol(k=70, folds=3))
    two = Division.of(LABELS, ("a", "b"), UNITS % 2, "patients", Protocol(k=5, folds=5))
    assert len(two.folds) == 2
