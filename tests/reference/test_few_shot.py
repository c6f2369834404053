"""Few shots: who is drawn, and scikit-learn's nearest centroid as the oracle."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestCentroid

from histocnn.reference.few_shot import nearest_mean, numbers_of_shots, support

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 0, 1], [30, 10, 20, 20])
UNITS = np.arange(80) // 5


def test_each_class_as_often_and_from_as_many_patients_as_can_be() -> None:
    for shots in (1, 2, 4, 8):
        rows = support(LABELS, UNITS, shots, seed=3)
        for label in (0, 1):
            own = rows[LABELS[rows] == label]
            of = len(np.unique(UNITS[label == LABELS]))  # class 0 has ten patients, class 1 six
            assert len(set(own.tolist())) == shots
            assert len(np.unique(UNITS[own])) == min(shots, of)


def test_more_shots_hold_the_fewer_and_draws_differ() -> None:
    few, more = (set(support(LABELS, UNITS, shots, 1).tolist()) for shots in (2, 8))
    assert few < more
    firsts = {tuple(UNITS[support(LABELS, UNITS, 1, seed)]) for seed in range(20)}
    assert len({first[0] for first in firsts}) > 4  # not always the first patient


def test_shots_double_until_a_class_has_no_more() -> None:
    assert numbers_of_shots(np.array([0, 1, 1])) == (1,)
    assert numbers_of_shots(LABELS) == (1, 2, 4, 8, 16)
    assert numbers_of_shots(LABELS, 5) == (1, 2, 4)


def test_the_nearest_mean_is_scikit_learns() -> None:
    examples, queries = (RNG.normal(1, 1, (n, 6)).astype(np.float32) for n in (12, 50))
    labels = np.arange(12) % 3
    unit = [x - examples.mean(0) for x in (examples, queries)]
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in unit]
    peer = NearestCentroid().fit(unit[0], labels)
    np.testing.assert_array_equal(nearest_mean(examples, labels, queries), peer.predict(unit[1]))
    one = nearest_mean(examples[:2], np.array([0, 1]), examples[:2])
    assert one.tolist() == [0, 1]
