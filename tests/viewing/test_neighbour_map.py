"""The map against scikit-learn's k-NN on the same points, and against `knn`'s own search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from histocnn.errors import FeaturesError
from histocnn.reference.features import Features, load
from histocnn.reference.methods import ByNeighbours
from histocnn.reference.neighbours import Knn
from histocnn.viewing.nearest import place
from histocnn.viewing.neighbour_map import NeighbourMap, TaughtMap
from tests.feature_files import write_features

KNN = Knn(k=5)
NAN_ROWS = (3, 17)


@pytest.fixture
def slide(tmp_path: Path) -> Features:
    return load([write_features(tmp_path / "s.h5", n=80, nan_rows=NAN_ROWS)])


def labels_of(**rows: list[int]) -> NDArray[np.int64]:
    labels = np.full(80, -1)
    for number, chosen in enumerate(rows.values()):
        labels[chosen] = number
    return labels


def drawn(slide: NeighbourMap, labels: NDArray[np.int64]) -> TaughtMap:
    found = slide.map(labels, ("x", "y"))
    assert found is not None
    return found


def oracle(features: Features, labels: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """Cosine distance from the slide's own mean, votes by 1 / distance."""
    points = place(features.values, features.values.mean(0), KNN).astype(float)
    known = np.flatnonzero(labels[features.row] >= 0)
    model = KNeighborsClassifier(
        k, metric="cosine", algorithm="brute", weights=lambda d: 1 / np.maximum(d, 1e-12)
    )
    model.fit(points[known], labels[features.row][known])
    return np.asarray(model.predict_proba(points))


@pytest.mark.parametrize(
    "rows",
    [{"x": [0], "y": [1]}, {"x": [0, 2], "y": [1]}, {"x": [0, 2, 4, 6], "y": [1, 5, 7]}],
)
def test_it_is_the_k_nn_of_the_labelled_patches(
    slide: Features, rows: dict[str, list[int]]
) -> None:
    labels = labels_of(**rows)
    found = drawn(NeighbourMap(slide, 80, knn=KNN), labels)
    expected = oracle(slide, labels, min(5, sum(map(len, rows.values()))))
    np.testing.assert_allclose(found.scores[slide.row], expected, atol=1e-4)
    assert np.isnan(found.scores[list(NAN_ROWS)]).all()
    assert found.called[list(NAN_ROWS)].tolist() == [-1, -1]
    np.testing.assert_array_equal(found.called[slide.row], expected.argmax(1))
    apart = 1 - np.abs(expected[:, 0] - expected[:, 1])
    np.testing.assert_allclose(found.uncertainty[slide.row], apart, atol=2e-4)


def test_labels_one_by_one_and_taken_back_give_the_same_as_all_at_once(slide: Features) -> None:
    growing = NeighbourMap(slide, 80, knn=KNN)
    few = labels_of(x=[0, 2], y=[1, 5])
    many = labels_of(x=[0, 2, 40, 42], y=[1, 5, 41])
    other = labels_of(x=[0, 2, 5], y=[1])  # 5 is something else now
    for labels in (few, many, few, other):
        wanted = drawn(NeighbourMap(slide, 80, knn=KNN), labels)
        np.testing.assert_allclose(drawn(growing, labels).scores, wanted.scores, atol=1e-6)


def test_one_class_makes_no_map(slide: Features) -> None:
    taught = NeighbourMap(slide, 80, knn=KNN)
    assert np.isinf(taught.nearest()[slide.row]).all()
    assert taught.map(labels_of(x=[0, 2]), ("x",)) is None
    assert taught.nearest()[[0, 2]].tolist() == [0, 0]
    assert np.isnan(taught.nearest()[3])
    assert taught.map(np.full(80, -1), ()) is None
    assert np.isinf(taught.nearest()[slide.row]).all()


def test_with_a_reference_it_begins_as_knn_would(slide: Features, tmp_path: Path) -> None:
    file = write_features(tmp_path / "r.h5", n=60, seed=4, patients=("p1", "p2", "p3", "p4"))
    reference = load([file])
    taught = NeighbourMap(slide, 80, reference, KNN)
    found = taught.map(np.full(80, -1), ())
    assert found is not None
    expected = ByNeighbours(reference.labelled(), KNN, "none").arrays(slide)
    assert found.class_names == ("a", "b")
    np.testing.assert_allclose(found.scores[slide.row], expected["scores"], atol=1e-4)
    np.testing.assert_allclose(found.novelty[slide.row], expected["novelty"], atol=2)
    names = taught.names(("new", "b"))
    assert names == ("a", "b", "new")
    after = taught.map(labels_of(new=[0], b=[1]), ("new", "b"))
    assert after is not None
    assert after.class_names == names
    assert after.scores[0].tolist() == [0, 0, 1]  # its own label decides it


def test_it_says_who_decided(slide: Features, tmp_path: Path) -> None:
    reference = load([write_features(tmp_path / "r.h5", n=60, seed=4)])
    taught = NeighbourMap(slide, 80, reference, KNN)
    labels = labels_of(new=[0], b=[2])
    taught.map(labels, ("new", "b"))
    first, *others = taught.neighbours(0, labels, ("new", "b"))
    assert (first.class_name, first.distance, first.row) == ("new", 0, 0)
    assert len(others) == 4
    theirs = [each for each in others if each.reference_row is not None]
    for each in theirs:
        assert each.class_name == "ab"[reference.labels[each.reference_row or 0]]
    assert [each.distance for each in others] == sorted(each.distance for each in others)
    assert taught.neighbours(3, labels, ("new", "b")) == []


def test_novelty_is_counted_among_the_examples(slide: Features) -> None:
    labels = labels_of(x=[0, 2, 4], y=[1, 5, 7])
    found = drawn(NeighbourMap(slide, 80, knn=KNN), labels)
    points = place(slide.values, slide.values.mean(0), KNN).astype(float)
    own = np.flatnonzero(labels[slide.row] >= 0)
    apart = np.sort(1 - points @ points[own].T, axis=1)
    usual = apart[own][:, 5]  # their fifth other
    expected = [100 * (usual <= row[4]).mean() for row in apart]
    np.testing.assert_allclose(found.novelty[slide.row], expected, atol=0.01)
    np.testing.assert_allclose(found.farness[slide.row], apart[:, 4], atol=1e-5)


def test_what_does_not_fit_is_refused(slide: Features, tmp_path: Path) -> None:
    with pytest.raises(FeaturesError, match="none of 10 reference patches has a label"):
        NeighbourMap(slide, 80, load([write_features(tmp_path / "n.h5", labelled=False)]))
    with pytest.raises(FeaturesError, match="width"):
        NeighbourMap(slide, 80, load([write_features(tmp_path / "w.h5", width=5)]))
    one = load([write_features(tmp_path / "one.h5", n=4)])
    one = replace(one, labels=np.array([0, 0, -1, 0]))
    assert NeighbourMap(slide, 80, one).beside == 3  # an earlier session's, of one class
