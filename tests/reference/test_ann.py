"""An index finds nearly all, never the own patient, and is believed only where it fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from histocnn.errors import FeaturesError, UsageError
from histocnn.reference import ann
from histocnn.reference.ann import IndexedReference, recall
from histocnn.reference.features import Features, load
from histocnn.reference.large import LargeReference
from histocnn.reference.neighbours import Knn, Neighbours
from tests.feature_files import write_features

faiss = pytest.importorskip("faiss", reason="the extra ann is not installed")


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def reference(folder: Path, seed: int = 0) -> Features:
    for i in range(3):
        write_features(
            folder / f"r{i}.h5", n=400, patients=(f"p{i}", f"q{i}"), seed=seed + i, width=12
        )
    return load(sorted(folder.glob("*.h5")), stay=True).labelled()


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_recall_exclusion_and_an_index_that_is_kept(tmp_path: Path, kind: ann.Kind) -> None:
    examples, knn = reference(tmp_path / "ref"), Knn(10)
    index = IndexedReference(examples, knn, kind)
    exact = LargeReference(examples.rows, examples.groups, knn)
    queries = np.random.default_rng(9).normal(size=(60, 12)).astype(np.float32)
    groups = examples.groups[np.arange(60) * 20]
    own = np.where(np.arange(60) % 2, np.arange(60), -1)
    free = np.full((60, 2), -1)
    for asked, itself in ((groups, None), (free, own)):
        found, truth = index.search(queries, asked, itself), exact.search(queries, asked, itself)
        assert recall(found, truth) >= 0.97
        same = found.rows == truth.rows
        np.testing.assert_array_equal(found.distances[same], truth.distances[same])
        if itself is None:
            patient = examples.groups[found.rows, 0]
            assert not (patient == asked[:, :1]).any()
        else:
            assert not (found.rows == own[:, None]).any()
    index.compare(queries, groups, np.full(60, -1), index.search(queries, groups))
    assert index.said[0] == f"{kind}: no index yet, built"
    assert index.said[1].startswith(f"{kind}: recall@10 ")
    files = {path.name for path in (tmp_path / "ref" / ".index").iterdir()}
    assert files == {f"{kind}-unit-centred.faiss", f"{kind}-unit-centred.json", ".runs"}
    again = IndexedReference(examples, Knn(5), kind)  # of any k
    assert again._had == ""
    np.testing.assert_array_equal(
        again.search(queries, groups).rows[:, 0], index.search(queries, groups).rows[:, 0]
    )


def test_own_patients_are_most_of_the_reference(tmp_path: Path) -> None:
    """What is near is left out: more is fetched, and at last all of it is gone through."""
    patients = ["p"] * 99 + ["q"]
    file = write_features(tmp_path / "r.h5", n=1200, patients=patients, width=12)
    examples = load([file], stay=True).labelled()
    index = IndexedReference(examples, Knn(10), "ivf")
    assert (tmp_path / ".index" / "r-ivf-unit-centred.faiss").exists()
    queries, own = examples.rows[np.arange(5)], examples.groups[:5]
    found = index.search(queries, own)
    truth = LargeReference(examples.rows, examples.groups, Knn(10)).search(queries, own)
    np.testing.assert_array_equal(found.rows, truth.rows)
    index.knn = Knn(13)
    with pytest.raises(FeaturesError, match="12 reference rows that remain after exclusion"):
        index.search(queries, own)


def test_a_few_left_out_cost_no_second_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One patient of six: of 30 fetched at first about 25 remain, and 20 are enough."""
    examples = reference(tmp_path / "ref")
    index = IndexedReference(examples, Knn(10), "ivf")
    asked, search = [], index.index.search

    def counted(points: np.ndarray, fetch: int) -> object:
        asked.append(len(points))
        return search(points, fetch)

    monkeypatch.setattr(index.index, "search", counted)
    queries = np.random.default_rng(9).normal(size=(60, 12)).astype(np.float32)
    index.search(queries, examples.groups[np.arange(60) * 20])
    assert asked[0] == 60
    assert sum(asked[1:]) < 20


def test_an_index_that_does_not_fit_is_built_again_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = reference(tmp_path / "ref")
    where = tmp_path / "ref" / ".index" / "ivf-unit-centred.faiss"

    def said() -> str:
        return IndexedReference(load(examples.files, stay=True).labelled(), Knn(5), "ivf")._had

    assert said() == "ivf: no index yet, built"
    assert said() == ""
    reference(tmp_path / "ref", seed=50)
    assert said() == "ivf: the index is older than its reference, built"
    where.write_bytes(where.read_bytes()[:-100])
    assert said() == "ivf: the index is not as it was written, built"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    assert said() == "ivf: the index there was not made by you on this machine, built"
    where.with_suffix(".json").write_text("{}")
    assert said() == "ivf: the index there has no record, built"
    assert said() == ""
    swapped = [tmp_path / "ref" / name for name in ("r0.h5", "r1.h5", "other")]
    for old, new in ((0, 2), (1, 0), (2, 1)):
        swapped[old].rename(swapped[new])
    assert said() == "ivf: the index is older than its reference, built"

    def unreadable(path: str) -> None:
        raise RuntimeError("of another version")

    monkeypatch.setattr(faiss, "read_index", unreadable)
    assert said() == "ivf: this faiss cannot read the index, built"


def test_anothers_file_is_refused_before_the_work(tmp_path: Path) -> None:
    examples = reference(tmp_path / "ref")
    where = tmp_path / "ref" / ".index" / "ivf-unit-centred.faiss"
    where.parent.mkdir()
    where.write_bytes(b"somebody's")
    with pytest.raises(UsageError, match=r"not made by knn\. Move it away, or leave --index out"):
        IndexedReference(examples, Knn(5), "ivf")
    assert where.read_bytes() == b"somebody's"


def test_faiss_takes_as_many_threads_as_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = reference(tmp_path / "ref")
    IndexedReference(examples, Knn(5), "ivf")
    assert faiss.omp_get_max_threads() == torch.get_num_threads()
    monkeypatch.setattr("sys.platform", "darwin")
    IndexedReference(examples, Knn(5), "ivf")
    assert faiss.omp_get_max_threads() == 1


def test_more_than_the_memory_and_a_missing_faiss_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = reference(tmp_path / "ref")
    with pytest.raises(
        UsageError, match=r"--index hnsw of 1,200 × 12 takes 0\.00033 GB, and 0\.0003"
    ):
        IndexedReference(examples, Knn(5), "hnsw", 3e5)
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(UsageError, match=r'pip install "histocnn\[ann\]"'):
        IndexedReference(examples, Knn(5), "ivf")


def test_recall_counts_rows_as_near_as_the_last() -> None:
    one = Neighbours(np.array([[3, 5]]), np.array([[1, 2]], np.float32))
    other = Neighbours(np.array([[3, 4]]), np.array([[1, 2]], np.float32))
    assert recall(one, other) == 1
