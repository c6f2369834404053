"""The two methods answer in one form; that they leave own patients out is held by the stages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import UsageError
from histocnn.reference.features import Features, load
from histocnn.reference.methods import ByNeighbours, ByRegression
from histocnn.reference.neighbours import Knn
from tests.feature_files import write_features


@pytest.fixture
def examples(tmp_path: Path) -> Features:
    return load([write_features(tmp_path / "r.h5", n=40, patients=("p1", "p2"))]).labelled()


@pytest.fixture
def rows(tmp_path: Path) -> Features:
    return load([write_features(tmp_path / "q.h5", n=6, patients=("p3",), seed=1)])


def test_neighbours_vote_and_are_named(examples: Features, rows: Features) -> None:
    method = ByNeighbours(examples, Knn(k=3, metric="euclidean", weights="uniform", center=False))
    arrays = method.arrays(rows)
    apart = np.linalg.norm(rows.values[:, None] - examples.values[None], axis=2)
    nearest = np.argsort(apart, axis=1)[:, :3]
    np.testing.assert_array_equal(arrays["neighbours"][..., 1], nearest)
    assert (arrays["neighbours"][..., 0] == 0).all()
    np.testing.assert_array_equal(arrays["neighbour_labels"], examples.labels[nearest])
    share = (examples.labels[nearest] == 1).mean(axis=1)
    np.testing.assert_allclose(arrays["scores"], np.stack([1 - share, share], 1), atol=1e-6)
    assert method.name == "knn"
    assert method.options == {
        "k": 3, "metric": "euclidean", "weights": "uniform", "center": False, "normalise": False,
    }  # fmt: skip
    assert method.notes == ["novelty: reference rows compared without their own patient"]


def test_a_regression_scores_and_says_its_penalty(examples: Features, rows: Features) -> None:
    method = ByRegression(examples, c=0.5)
    assert (method.name, method.options, list(method.notes)) == ("probe", {"c": 0.5}, [])
    scores = method.arrays(rows)["scores"]
    assert scores.shape == (6, 2)
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-5)


def test_python_hears_what_the_command_line_hears(examples: Features) -> None:
    with pytest.raises(UsageError, match="--c 0 is not positive"):
        ByRegression(examples, c=0)
    with pytest.raises(UsageError, match="--k 0 is not a whole number above 0"):
        Knn(k=0)
