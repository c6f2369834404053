"""Neighbours: equal to scikit-learn's, never of one's own patient, the same whatever the ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from histocnn.errors import FeaturesError
from histocnn.reference.neighbours import UNI, Knn, Reference, codes, places
from histocnn.reference.votes import vote

RNG = np.random.default_rng(0)
REFERENCE = RNG.normal(3, 1, (400, 16)).astype(np.float32)
LABELS = RNG.integers(0, 3, 400)
QUERIES = RNG.normal(3, 1, (50, 16)).astype(np.float32)
ALONE = np.full((400, 2), -1)
FREE = np.full((50, 2), -1)


def centred(values: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return values.astype(np.float64) - mean


def unit(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@pytest.mark.parametrize("knn", [
    Knn(20, "cosine", "distance", center=True),
    Knn(7, "cosine", "uniform", center=False),
    Knn(5, "euclidean", "distance", center=False),
    UNI,
], ids=["default", "cosine", "euclidean", "uni"])  # fmt: skip
def test_equal_to_scikit_learn(knn: Knn) -> None:
    mean = REFERENCE.astype(np.float64).mean(0) if knn.center else np.zeros(16)
    x, q = centred(REFERENCE, mean), centred(QUERIES, mean)
    if knn.normalise:
        x, q = unit(x), unit(q)
    peer = KNeighborsClassifier(
        knn.k, metric=knn.metric, weights=knn.weights, algorithm="brute"
    ).fit(x, LABELS)
    distances, rows = peer.kneighbors(q)
    found = Reference(REFERENCE, ALONE, knn).search(QUERIES, FREE)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-5)
    scores = vote(LABELS[found.rows], found.distances, 3, knn.weights)
    np.testing.assert_allclose(scores, peer.predict_proba(q), atol=1e-4)


def test_uni_is_the_published_protocol() -> None:
    assert Knn(20, "euclidean", "uniform", center=True, normalise=True) == UNI


def test_own_patient_and_slide_are_left_out_of_neighbours_and_mean() -> None:
    x = np.array([[0, 0], [1, 0], [2, 0], [10, 0], [11, 0], [12, 0]], np.float32)
    groups = np.array([[0, 0], [0, 1], [1, 2], [1, 2], [-1, 3], [-1, -1]])
    reference = Reference(x, groups, Knn(2, "euclidean", center=True))
    queries = np.array([[1, 0], [1, 0], [11, 0]], np.float32)
    found = reference.search(queries, np.array([[0, 0], [-1, -1], [-1, 3]]))
    assert found.rows.tolist() == [[2, 3], [1, 0], [3, 5]]
    raised = x + np.float32(1)
    cosine = Reference(raised, groups, Knn(2, "cosine", center=True))
    alone = Reference(raised[2:], groups[2:], Knn(2, "cosine", center=True))
    query = np.array([[5, 3]], np.float32)
    left = cosine.search(query, np.array([[0, 0]]))
    np.testing.assert_array_equal(
        left.distances, alone.search(query, np.array([[-1, -1]])).distances
    )


def test_a_row_is_no_neighbour_of_itself() -> None:
    found = Reference(REFERENCE, ALONE, Knn(3)).search(REFERENCE, ALONE, own=np.arange(400))
    assert not (found.rows == np.arange(400)[:, None]).any()
    own = Reference(REFERENCE, ALONE, Knn(3)).search(REFERENCE, ALONE)
    assert (own.rows[:, 0] == np.arange(400)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 2**31))
def test_ties_go_to_the_smaller_row(copies: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    few = rng.integers(-2, 3, (6, 3)).astype(np.float32)
    x = np.repeat(few, copies, axis=0)[rng.permutation(6 * copies)]
    k = min(k, len(x))
    query = rng.integers(-2, 3, (4, 3)).astype(np.float32)
    knn = Knn(k, "euclidean", center=False)
    found = Reference(x, np.full((len(x), 2), -1), knn).search(query, np.full((4, 2), -1))
    exact = np.sqrt(((query[:, None] - x[None]) ** 2).sum(2))
    for i in range(4):
        assert found.rows[i].tolist() == np.lexsort([np.arange(len(x)), exact[i]])[:k].tolist()


def test_novelty_is_the_percentile_among_patients_left_out() -> None:
    x = np.array([[0.0], [1], [2], [4]], np.float32)  # patients a, a, b, c
    groups = np.array([[0, 0], [0, 1], [1, 2], [2, 3]])
    reference = Reference(x, groups, Knn(1, "euclidean", center=False))
    left_out, distances = reference.calibration
    assert left_out == "patient"
    assert distances.tolist() == [1, 1, 2, 2]  # 0 to 2, 1 to 2, 2 to 1, 4 to 2
    found = reference.search(np.array([[0.5], [3.5], [9]], np.float32), np.full((3, 2), -1))
    assert found.distances[:, 0].tolist() == [0.5, 0.5, 5]
    assert reference.novelty(found).tolist() == [0, 0, 100]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (np.full((4, 2), -1), "patch"),
        (np.array([[-1, 0], [-1, 0], [-1, 1], [-1, 1]]), "slide"),
        (np.array([[0, 0], [0, 0], [0, 1], [0, 1]]), "slide"),
        (np.array([[0, 0], [0, 0], [0, 0], [0, 0]]), "patch"),
    ],
    ids=["nothing known", "slides known", "one patient", "one slide"],
)
def test_novelty_says_what_was_left_out(groups: np.ndarray, expected: str) -> None:
    x = np.array([[0.0], [1], [2], [4]], np.float32)
    assert Reference(x, groups, Knn(1, center=False)).calibration[0] == expected


def test_too_large_k_is_refused() -> None:
    with pytest.raises(FeaturesError, match="k = 401 neighbours asked of 400 reference rows"):
        Reference(REFERENCE, ALONE, Knn(401)).search(QUERIES, FREE)
    with pytest.raises(FeaturesError, match="399 reference rows that remain after exclusion"):
        Reference(REFERENCE, ALONE, Knn(400)).search(QUERIES, FREE, own=np.zeros(50, np.int64))
    groups = np.zeros((400, 2), np.int64)
    groups[:30] = 1
    with pytest.raises(FeaturesError, match="30 reference rows that remain after exclusion"):
        Reference(REFERENCE, groups, Knn(40)).search(QUERIES, np.zeros((50, 2), np.int64))
    with pytest.raises(FeaturesError, match=r"0 reference rows .* of the same patient or slide"):
        Reference(REFERENCE, groups * 0, Knn(5)).search(QUERIES, np.zeros((50, 2), np.int64))


def test_codes_leave_strangers_out() -> None:
    assert codes(["b", "", "x", "a"], places(["b", "a", "b", ""])).tolist() == [1, -1, -1, 0]


@pytest.mark.parametrize("own", [None, np.arange(50)])
def test_the_callers_arrays_stay_as_they_are(own: np.ndarray | None) -> None:
    features, queries = REFERENCE.copy(), REFERENCE[:50].copy()
    groups = np.stack([np.arange(400) % 8, np.arange(400) % 8], axis=1)
    for asked in (FREE, groups[:50]):  # compared with all, and with what remains
        Reference(features, groups, UNI).search(queries, asked, own=own)
    assert (features == REFERENCE).all()
    assert (queries == REFERENCE[:50]).all()
