"""One patch of every patient, by brute force over made-up features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import FeaturesError
from histocnn.reference.archive import nearest_of_each, owner_in
from histocnn.reference.features import load
from histocnn.reference.neighbours import Knn
from tests.feature_files import write_features


@pytest.mark.parametrize("labelled", [True, False])
def test_the_nearest_of_each_patient_however_far_the_second_one_is(
    tmp_path: Path, labelled: bool
) -> None:
    """Sixty patches of p0 are nearer than any of p1, p2: they must not hide these."""
    near = write_features(tmp_path / "near.h5", n=60, patients=("p0",), labelled=labelled)
    far = write_features(tmp_path / "far.h5", n=20, patients=("p1", "p2"), shift=9, seed=1)
    query = load([write_features(tmp_path / "q.h5", n=1, patients=("q",), seed=2)])
    archive = load([near, far])
    knn = Knn(5, "euclidean", center=False)
    found = nearest_of_each(query, archive, knn, "patient")
    apart = np.linalg.norm(archive.values - query.values[0], axis=1)
    whose = np.array(archive.patient_ids)
    rows = [np.flatnonzero(whose == p)[apart[whose == p].argmin()] for p in ("p0", "p1", "p2")]
    assert found.rows.tolist() == sorted(rows, key=lambda row: apart[row])
    np.testing.assert_allclose(found.distances, apart[found.rows], rtol=1e-5)
    assert found.patients == 3
    large = nearest_of_each(query, load([near, far], stay=True), knn, "patient")
    assert large.rows.tolist() == found.rows.tolist()
    np.testing.assert_allclose(large.distances, found.distances, rtol=1e-5)
    all_of_them = nearest_of_each(query, archive, knn, "patient", each="none")
    assert all_of_them.rows.tolist() == np.argsort(apart)[:5].tolist()


def test_the_own_patient_is_left_out_of_the_mean_too(tmp_path: Path) -> None:
    files = [
        write_features(tmp_path / f"{p}.h5", n=20, patients=(p,), seed=i, shift=i)
        for i, p in enumerate(("p0", "p1", "p2"))
    ]
    query, archive = load(files[:1]).only(np.array([3])), load(files)
    found = nearest_of_each(query, archive, Knn(5), "patient")
    assert {archive.patient_ids[row] for row in found.rows} == {"p1", "p2"}
    rest = archive.values[20:]
    own, rest = query.values[0] - rest.mean(0), rest - rest.mean(0)
    far = 1 - rest @ own / np.linalg.norm(rest, axis=1) / np.linalg.norm(own)
    np.testing.assert_allclose(found.distances[0], far.min(), atol=1e-6)
    with pytest.raises(FeaturesError, match="query's own patient"):
        nearest_of_each(query, query, Knn(5), "patient")
    [row] = nearest_of_each(query, archive, Knn(1), "none").rows
    assert row == 3


def test_a_slides_file_is_known_under_another_name(tmp_path: Path) -> None:
    archive = load([write_features(tmp_path / "a.h5", patients=("p0",))])
    assert owner_in(archive, "77-ab", "x", "p") == ("x", "p")
