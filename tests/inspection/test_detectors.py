"""Detectors beside the formulas, scipy, and pytorch-ood."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, mahalanobis
from sklearn.covariance import LedoitWolf

from histocnn.errors import PatchesError
from histocnn.inspection import detectors
from histocnn.inspection.detectors import Detectors, Mahalanobis
from histocnn.inspection.on_pixels import Response


@pytest.fixture(scope="module")
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 5, (200, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def features() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    classes = np.arange(200) % 2
    mixed = rng.normal(0, 1, (200, 4)) @ rng.normal(0, 1, (4, 4))
    return (mixed + 3 * classes[:, None]).astype(np.float32), classes


def test_confidence_is_the_highest_probability_at_a_temperature(logits):
    expected = torch.softmax(torch.from_numpy(logits).double() / 2, 1).max(1).values.numpy()
    np.testing.assert_allclose(detectors.confidence(logits, 2.0), expected, rtol=1e-12)
    np.testing.assert_allclose(detectors.max_softmax(logits, 2.0), -np.log(expected), atol=1e-12)
    sure = np.array([[0.0, 60.0], [0.0, 50.0]])
    assert (np.diff(detectors.max_softmax(sure)) > 0).all()  # both are 1 to the last digit


def test_energy_is_that_of_pytorch_ood(logits):
    theirs = pytest.importorskip("pytorch_ood.detector", reason="pip install pytorch-ood")
    expected = theirs.EnergyBased.score(torch.from_numpy(logits), t=1.0).numpy()
    np.testing.assert_allclose(detectors.energy(logits), expected, rtol=1e-5)


def test_mahalanobis_without_shrinkage_is_that_of_pytorch_ood(features):
    """Theirs is half the distance by a sum in the covariance's place."""
    theirs = pytest.importorskip("pytorch_ood.detector", reason="pip install pytorch-ood")
    values, classes = features
    fitted = theirs.Mahalanobis(None).to("cpu")
    fitted.fit_features(torch.from_numpy(values), torch.from_numpy(classes))
    expected = fitted.predict_features(torch.from_numpy(values + 1)).numpy()
    found = Mahalanobis.fit(values, classes, shrinkage=0).distances(values + 1)
    np.testing.assert_allclose(found, 2 * 200 * expected, rtol=1e-3)


def test_mahalanobis_is_the_distance_to_the_nearer_mean_by_a_shrunk_covariance(features):
    values, classes = features
    means = [values[classes == c].astype(np.float64).mean(0) for c in (0, 1)]
    around = values - np.stack(means)[classes]
    precision = np.linalg.inv(LedoitWolf(assume_centered=True).fit(around).covariance_)
    asked = values[:5] + 2
    expected = [min(mahalanobis(row, mean, precision) ** 2 for mean in means) for row in asked]
    np.testing.assert_allclose(
        Mahalanobis.fit(values, classes).distances(asked), expected, rtol=1e-6
    )


def test_more_features_than_patches_and_dead_ones_are_no_hindrance():
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(0, 1, (12, 30)), np.zeros((12, 20))], axis=1)
    fitted = Mahalanobis.fit(values, np.arange(12) % 2)
    new = values.copy()
    new[:, 40] = 5  # a feature that no patch ever had
    assert fitted.distances(new).min() > fitted.distances(values).max()


def test_all_detectors_tell_what_is_far_and_neighbours_are_the_kth(features):
    values, classes = features
    logits = np.stack([-values[:, 0], values[:, 0]], axis=1)
    reference = Response(values, logits)
    fitted = Detectors(reference, classes, np.stack([classes, np.arange(200) % 10], axis=1))
    assert (fitted.neighbours, fitted.learnt_from) == (20, 200)
    asked = Response(values[:7] * 2 + 1, logits[:7])
    scores = fitted.scores(asked)
    assert list(scores) == list(detectors.DETECTORS)
    straight = np.sort(cdist(asked.features, values), axis=1)[:, 19]
    np.testing.assert_allclose(scores["distance"], straight, rtol=1e-5)
    mean = values.mean(0)
    cosine = np.sort(cdist(asked.features - mean, values - mean, "cosine"), axis=1)[:, 19]
    np.testing.assert_allclose(scores["novelty"], cosine, rtol=1e-3, atol=1e-6)
    percent = fitted.percentile(asked)
    assert ((percent >= 0) & (percent <= 100)).all()
    assert (np.diff(percent[np.argsort(scores["novelty"])]) >= 0).all()


def test_few_patches_make_fewer_neighbours_and_too_few_are_refused(features):
    values, classes = features
    few = Response(values[:5], values[:5, :2])
    unknown = np.full((5, 2), -1)
    assert Detectors(few, classes[:5], unknown).neighbours == 4
    with pytest.raises(PatchesError, match="2 patches to compare with"):
        Detectors(Response(values[:2], values[:2, :2]), classes[:2], unknown[:2])
