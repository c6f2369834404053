"""Figures of pictures beside tissue, and the intervals over the tissue's patients."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from histocnn.inspection import noticing
from histocnn.inspection.noticing import NOBODY, Shown
from histocnn.metrics.patch import Groups


def shown(scores: np.ndarray, owner: np.ndarray, right: np.ndarray | None = None) -> Shown:
    n = len(scores)
    return Shown(np.linspace(0.5, 1, n), right, {"energy": scores}, owner)


def test_weighted_auroc_is_that_of_rows_repeated():
    rng = np.random.default_rng(0)
    score, positive = rng.integers(0, 6, 40), rng.random(40) < 0.4
    weights = rng.integers(0, 4, (5, 40))
    expected = [roc_auc_score(np.repeat(positive, own), np.repeat(score, own)) for own in weights]
    found = noticing.weighted_auroc(score, positive, weights)
    np.testing.assert_allclose(found, expected)
    assert np.isnan(noticing.weighted_auroc([1, 2], [True, True], [[1, 1]])).all()


def test_figures_of_attacked_patches_have_an_interval_over_their_patients():
    rng = np.random.default_rng(1)
    owner = np.arange(80) % 8
    tissue = shown(rng.normal(0, 1, 80) + owner / 4, owner, np.ones(80, bool))
    odd = shown(rng.normal(1, 1, 80) + owner / 4, owner, rng.random(80) < 0.3)
    figures, interval = noticing.figures(odd, tissue, Groups(owner))
    assert list(figures) == ["accuracy", "confidence", "sure", "auroc_energy"]
    assert figures["accuracy"].value == pytest.approx(odd.right.mean())
    assert figures["confidence"].value == pytest.approx(0.75)
    assert figures["sure"].value == pytest.approx((odd.confidence >= 0.99).mean())
    both = np.concatenate([odd.scores["energy"], tissue.scores["energy"]])
    assert figures["auroc_energy"].value == pytest.approx(roc_auc_score(np.arange(160) < 80, both))
    for figure in (figures["accuracy"], figures["auroc_energy"]):
        assert figure.low < figure.value < figure.high
    assert (interval.unit, interval.groups, interval.note) == ("patients", 8, "few patients")


def test_pictures_of_nobody_stay_as_they_are_in_every_replicate():
    owner = np.arange(60) % 6
    tissue = shown(np.arange(60.0), owner, np.ones(60, bool))
    figures, _ = noticing.figures(
        shown(np.full(10, 30.5), np.full(10, NOBODY)), tissue, Groups(owner)
    )
    assert "accuracy" not in figures
    assert figures["auroc_energy"].value == pytest.approx(31 / 60)
    assert figures["confidence"].low == figures["confidence"].high  # no patient moves it
    assert figures["auroc_energy"].low < figures["auroc_energy"].high


def test_tissue_itself_is_told_from_nothing_and_few_or_unknown_patients_give_no_interval():
    owner = np.arange(12) % 3
    tissue = shown(np.arange(12.0), owner, np.ones(12, bool))
    figures, interval = noticing.figures(tissue, tissue, Groups(owner, "slides"))
    assert list(figures) == ["accuracy", "confidence", "sure"]
    assert figures["accuracy"].low is None
    assert interval.note == "no interval: 3 slides, fewer than 5"
    unknown = np.full(12, NOBODY)
    tissue = shown(np.arange(12.0), unknown, np.ones(12, bool))
    odd = shown(np.arange(12.0) + 100, unknown, np.zeros(12, bool))
    figures, interval = noticing.figures(odd, tissue, Groups(unknown))
    assert (figures["accuracy"].value, figures["auroc_energy"].value) == (0, 1)
    assert "no known patient or slide" in interval.note
