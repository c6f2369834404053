"""The linear probe: what it learnt from never judges, and without folds it is scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histocnn.cohort.splits import divide
from histocnn.errors import FeaturesError
from histocnn.reference.linear import FOLDS, INNER, STRENGTHS, USUAL, Probe, choose_c
from histocnn.reference.neighbours import UNKNOWN

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(120, 6)).astype(np.float32)
LABELS = (FEATURES[:, 0] + 0.5 * RNG.normal(size=120) > 0).astype(np.int64)


def sklearns(features: np.ndarray, labels: np.ndarray, c: float) -> object:
    regression = LogisticRegression(C=c, max_iter=1000)
    return make_pipeline(StandardScaler(), regression).fit(features, labels)


@pytest.mark.parametrize("c", [0.01, 1.0])
def test_queries_of_nobody_are_judged_by_all(c: float) -> None:
    queries = RNG.normal(size=(9, 6)).astype(np.float32)
    probe = Probe(FEATURES, LABELS, np.arange(120) % 30, c)
    found = probe.scores(queries, np.full(9, UNKNOWN))
    assert found.dtype == np.float32
    expected = sklearns(FEATURES, LABELS, c).predict_proba(queries)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_units_rows_are_judged_by_the_other_folds_alone() -> None:
    units = np.arange(120) % 4  # fewer than folds: each has one of its own
    probe = Probe(FEATURES, LABELS, units, 1.0)
    found = probe.scores(FEATURES, units)
    for unit in range(4):
        own = units == unit
        expected = sklearns(FEATURES[~own], LABELS[~own], 1.0).predict_proba(FEATURES[own])
        np.testing.assert_allclose(found[own], expected, rtol=1e-5)


def test_labels_of_a_units_own_rows_do_not_matter_to_it() -> None:
    units = np.arange(120) // 4  # thirty units in ten folds
    probe = Probe(FEATURES, LABELS, units, 1.0)
    assert len(np.unique(probe._folds)) == FOLDS
    mine = units == 7
    turned = np.where(mine, 1 - LABELS, LABELS)
    np.testing.assert_array_equal(
        probe.scores(FEATURES[mine], units[mine]),
        Probe(FEATURES, turned, units, 1.0).scores(FEATURES[mine], units[mine]),
    )


def test_a_class_that_only_one_patient_has_is_refused() -> None:
    probe = Probe(FEATURES, np.arange(120) // 60, np.arange(120) // 60, 1.0)
    with pytest.raises(FeaturesError, match="no reference patches left when a patient is left out"):
        probe.scores(FEATURES[:3], np.zeros(3, np.int64))


def test_c_is_what_a_search_by_hand_over_inner_folds_finds() -> None:
    """The oracle: scikit-learn's own cross-validation over the same folds of units, whole grid."""
    rng = np.random.default_rng(1)
    units = np.arange(240) // 6
    features = rng.normal(size=(240, 30)).astype(np.float32)
    labels = (features[:, 0] + rng.normal(size=240) > 0).astype(np.int64)
    part = divide(labels, [str(unit) for unit in units], [1 / INNER] * INNER, 0)
    losses = []
    for c in STRENGTHS:
        peer = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000))
        found = cross_val_predict(
            peer, features, labels, cv=PredefinedSplit(part), method="predict_proba"
        )
        losses.append(log_loss(labels, found))
    best = STRENGTHS[int(np.argmin(losses))]
    assert 0 < STRENGTHS.index(best) < len(STRENGTHS) - 1
    assert choose_c(features, labels, units) == best


def test_what_is_judged_has_no_say_in_the_choice() -> None:
    units = np.arange(120) // 4
    probe = Probe(FEATURES, LABELS, units, None)
    mine = probe._folds == 3
    found = probe.scores(FEATURES[mine], units[mine])
    other = FEATURES.copy()
    other[mine] *= 9  # of the held out rows themselves, also the scale
    turned = Probe(other, np.where(mine, 1 - LABELS, LABELS), units, None)
    np.testing.assert_array_equal(found, turned.scores(FEATURES[mine], units[mine]))
    assert len(probe.chosen) == 1
    assert probe.chosen[0] in STRENGTHS


def test_of_one_patient_nothing_is_chosen_and_a_class_of_one_is_no_trap() -> None:
    assert choose_c(FEATURES, LABELS, np.zeros(120, np.int64)) == USUAL
    labels = np.where(np.arange(120) < 4, 2, LABELS)
    assert choose_c(FEATURES, labels, np.arange(120) // 4) in STRENGTHS
    assert choose_c(FEATURES, np.arange(120) // 60, np.arange(120) // 60) in STRENGTHS
