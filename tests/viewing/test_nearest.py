"""The running neighbours against those of a search from scratch."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.reference.neighbours import Knn
from histocnn.viewing.nearest import Nearest, distances_between, place


def features(n: int, width: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def oracle(points: np.ndarray, others: np.ndarray, metric: str) -> np.ndarray:
    apart = np.linalg.norm(points[:, None].astype(float) - others[None], axis=2)
    return np.asarray(apart**2 / 2 if metric == "cosine" else apart)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("pieces", [[1] * 9, [4, 5], [9], [2, 600]])
def test_pieces_give_what_a_search_gives(metric: str, pieces: list[int]) -> None:
    knn = Knn(k=4, metric=metric)  # type: ignore[arg-type]
    points = place(features(50), features(50).mean(0), knn)
    others = place(features(sum(pieces), seed=1), features(50).mean(0), knn)
    near, start = Nearest(points, knn), 0
    for size in pieces:
        numbers = np.arange(start, start + size)
        near.add(others[numbers], numbers + 100)
        start += size
    apart = oracle(points, others, metric)
    expected = np.argsort(apart, axis=1, kind="stable")[:, : min(5, len(others))]
    np.testing.assert_array_equal(near.ids, expected + 100)
    np.testing.assert_allclose(near.distances, np.take_along_axis(apart, expected, 1), atol=2e-6)
    np.testing.assert_allclose(distances_between(points, others, knn), apart, atol=2e-6)


def test_the_same_point_is_at_zero_and_of_two_the_first_comes_first() -> None:
    knn = Knn(k=2)
    points = place(features(3, width=200), None, knn)
    near = Nearest(points, knn)
    near.add(points[[1, 1, 0]], np.array([7, 5, 9]))
    assert near.ids[1].tolist() == [7, 5, 9]
    assert near.distances[1, :2].tolist() == [0.0, 0.0]


def test_a_copy_goes_its_own_way() -> None:
    points = place(features(3), None, Knn(k=2))
    near = Nearest(points, Knn(k=2))
    other = near.copy()
    other.add(points[:1], np.array([0]))
    assert (near.ids.shape, other.ids.shape) == ((3, 0), (3, 1))


def test_placing_centres_and_scales_and_leaves_its_input() -> None:
    given = np.array([[3, 5], [1, 1]], np.float32)
    placed = place(given, np.array([1, 1], np.float32), Knn())
    expected = np.array([[2, 4], [0, 0]]) / 20**0.5
    np.testing.assert_allclose(placed, expected, rtol=1e-6)
    plain = place(given, None, Knn(metric="euclidean"))
    assert plain.tolist() == given.tolist() == [[3, 5], [1, 1]]
