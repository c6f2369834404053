"""The linear probe: what it learnt from never judges, and without folds it is scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histocnn.errors import FeaturesError
from histocnn.reference.linear import FOLDS, Probe
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
