"""Blocks from files: the same neighbours as in memory, whatever patients, ties, files and sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from histocnn.errors import FeaturesError, StoreError
from histocnn.reference import large
from histocnn.reference.large import LargeReference
from histocnn.reference.memory import Sizes
from histocnn.reference.neighbours import UNI, Knn, Neighbours, Reference
from histocnn.reference.stored import StoredRows
from histocnn.reference.votes import vote
from tests.feature_files import places_in, stored_rows

KNNS = {
    "default": Knn(5),
    "cosine": Knn(5, "cosine", center=False),
    "euclidean": Knn(5, "euclidean"),
    "uni": UNI,
}


class InParts(StoredRows):
    """Rows as files would give them, of arrays: hypothesis has no time for files."""

    def __init__(self, parts: list[np.ndarray]) -> None:
        super().__init__([Path(f"{i}") for i in range(len(parts))], *places_in(parts),
                         parts[0].shape[1])  # fmt: skip
        self.parts = parts

    def _read(self, file, rows):
        return self.parts[file][rows]


def both(
    folder: Path | None,
    x: np.ndarray,
    groups: np.ndarray,
    knn: Knn,
    rows: int = 64,
    queries: int = 30,
) -> tuple[Reference, LargeReference]:
    """The same reference in memory and in three files, read in blocks of so many."""
    cuts = [len(x) // 5, len(x) // 5, len(x) * 2 // 3]  # the second file is empty
    parts = np.split(x, cuts)
    stored = stored_rows(folder, parts) if folder else InParts(parts)
    blocks = LargeReference(stored, groups, knn)
    blocks.sizes = Sizes(rows, queries)
    blocks.means.size = rows
    return Reference(x.astype(np.float32), groups, knn), blocks


def by_hand(x, groups, knn, queries, asked, own=None) -> tuple[np.ndarray, np.ndarray]:
    """Rows and distances in double precision, query by query, by nothing but the definitions."""
    rows, distances = [], []
    for i, query in enumerate(queries.astype(np.float64)):
        left_out = ((groups == asked[i]) & (asked[i] != -1)).any(1)
        y = x.astype(np.float32).astype(np.float64)
        if knn.center:
            mean = y[~left_out].mean(0)
            y, query = y - mean, query - mean
        if knn.metric == "cosine" or knn.normalise:
            y, query = (
                v / np.where(n > 0, n, 1)
                for v in (y, query)
                for n in [np.linalg.norm(v, axis=-1, keepdims=True)]
            )
        apart = np.linalg.norm(y - query, axis=1)
        apart[left_out] = np.inf
        if own is not None and own[i] >= 0 and not left_out.any():
            apart[own[i]] = np.inf
        order = np.lexsort([np.arange(len(x)), apart.astype(np.float32)])[: knn.k]
        rows.append(order)
        distances.append(apart[order] ** 2 / 2 if knn.metric == "cosine" else apart[order])
    return np.array(rows), np.array(distances, np.float32)


def check_same(ours: Neighbours, theirs: Neighbours) -> None:
    """Same distances within 1e-5; same rows wherever distances differ by more."""
    np.testing.assert_allclose(ours.distances, theirs.distances, rtol=1e-4, atol=1e-7)
    different = ours.rows != theirs.rows
    np.testing.assert_allclose(
        ours.distances[different], theirs.distances[different], rtol=1e-5, atol=1e-7
    )
    for row in ours.rows:
        assert len(set(row.tolist())) == len(row)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("default", np.float16),
        ("cosine", np.float32),
        ("euclidean", np.float64),
        ("uni", np.float16),
    ],
)
def test_equal_to_scikit_learn_and_to_what_is_in_memory(
    tmp_path: Path, name: str, dtype: type
) -> None:
    knn = KNNS[name]
    rng = np.random.default_rng(0)
    x = rng.normal(3, 1, (401, 16)).astype(dtype)
    queries = rng.normal(3, 1, (50, 16)).astype(np.float32)
    alone, free = np.full((401, 2), -1), np.full((50, 2), -1)
    small, blocks = both(tmp_path, x, alone, knn)
    found = blocks.search(queries, free)
    points, asked = x.astype(np.float64), queries.astype(np.float64)
    if knn.center:
        points, asked = points - x.astype(np.float64).mean(0), asked - x.astype(np.float64).mean(0)
    if knn.normalise:
        points, asked = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (points, asked))
    labels = rng.integers(0, 3, 401)
    peer = KNeighborsClassifier(
        knn.k, metric=knn.metric, weights=knn.weights, algorithm="brute"
    ).fit(points, labels)
    distances, rows = peer.kneighbors(asked)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-5)
    scores = vote(labels[found.rows], found.distances, 3, knn.weights)
    np.testing.assert_allclose(scores, peer.predict_proba(asked), atol=1e-4)
    check_same(found, small.search(queries, free))
    for one, other in zip(blocks.calibration, small.calibration, strict=True):
        if isinstance(one, str):
            assert one == other
        else:
            np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_array_equal(blocks.novelty(found), small.novelty(small.search(queries, free)))


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(sorted(KNNS)),
    st.integers(2, 9),
    st.sampled_from([33, 64]),
    st.sampled_from([5, 9]),
    st.integers(0, 2**31),
)
def test_own_patients_slides_and_rows_are_left_out(
    name: str, patients: int, rows: int, tile: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    knn = KNNS[name] if name != "uni" else Knn(3, "euclidean", center=True, normalise=True)
    x = rng.normal(rng.normal(0, 2), 1, (150, 6)).astype(np.float16)
    patient = rng.integers(-1, patients, 150)
    slide = np.where(patient < 0, rng.integers(-1, 3, 150), patient * 3 + rng.integers(3, 6, 150))
    groups = np.stack([patient, slide], axis=1)
    queries = rng.normal(0, 2, (20, 6)).astype(np.float32)
    asked = groups[rng.integers(0, 150, 20)].copy()
    asked[rng.random(20) < 0.3, 0] = -1
    asked[rng.random(20) < 0.3, 1] = -1
    own = np.where(rng.random(20) < 0.5, rng.integers(0, 150, 20), -1)
    _, blocks = both(None, x, groups, knn, rows, tile)
    expected = Neighbours(*by_hand(x, groups, knn, queries, asked))
    check_same(blocks.search(queries, asked), expected)
    free = np.full((20, 2), -1)
    found = blocks.search(queries, free, own)
    check_same(found, Neighbours(*by_hand(x, groups, knn, queries, free, own)))
    assert not (found.rows == own[:, None]).any()


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.booleans(), st.integers(0, 2**31))
def test_ties_go_to_the_smaller_row(copies: int, k: int, scaled: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    few = rng.integers(-2, 3, (6, 3)).astype(np.float16)
    x = np.repeat(few, copies, axis=0)[rng.permutation(6 * copies)]
    k = min(k, len(x))
    query = np.concatenate([rng.integers(-2, 3, (4, 3)), x[:2]]).astype(np.float32)
    knn = Knn(k, "cosine" if scaled else "euclidean", center=False)
    _, blocks = both(None, x, np.full((len(x), 2), -1), knn)
    found = blocks.search(query, np.full((6, 2), -1))
    q, y = query.astype(np.float64), x.astype(np.float64)
    if scaled:
        q, y = (v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-9) for v in (q, y))
    exact = np.sqrt(((q[:, None] - y[None]) ** 2).sum(2)).astype(np.float32)
    for i in range(6):
        assert found.rows[i].tolist() == np.lexsort([np.arange(len(x)), exact[i]])[:k].tolist()
    itself = (x == query[4].astype(np.float16)).all(1)
    assert found.distances[4, 0] == 0 or not itself.any()


def test_rows_at_the_mean_and_without_direction() -> None:
    """Where the metric has nothing to go by, the two paths go by the same."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 8)).astype(np.float32)
    x[::10] = 0
    groups = np.stack([np.arange(120) % 6, np.arange(120) % 6], axis=1)
    queries = np.concatenate([rng.normal(size=(10, 8)), np.zeros((2, 8))]).astype(np.float32)
    for knn in (Knn(9, center=False), Knn(30, center=False, normalise=True)):
        small, blocks = both(None, x, groups, knn)
        for asked in (np.full((12, 2), -1), groups[:12]):
            check_same(blocks.search(queries, asked), small.search(queries, asked))
    near = x.copy()  # patient 0 far away: without it the others lie about their own mean
    near[groups[:, 0] == 0] += 100
    small, blocks = both(None, near, groups, Knn(9))
    check_same(blocks.search(queries, groups[:12]),
               small.search(queries, groups[:12]))  # fmt: skip


def test_a_second_pass_settles_what_rounding_leaves_open(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    x = np.repeat(rng.normal(size=(20, 8)), 60, axis=0).astype(np.float32)
    x = x[rng.permutation(len(x))]
    x += rng.normal(size=x.shape).astype(np.float32) * 1e-7
    _, blocks = both(None, x, np.full((1200, 2), -1), Knn(20, center=False))
    queries, free = rng.normal(size=(9, 8)).astype(np.float32), np.full((9, 2), -1)
    asked: list[int] = []
    settled = blocks._settled

    def counted(product, least):
        asked.append(len(product.asked))
        return settled(product, least)

    monkeypatch.setattr(blocks, "_settled", counted)
    found = blocks.search(queries, free)
    assert sum(asked) == 9
    q, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in
            (queries.astype(np.float64), x.astype(np.float64)))  # fmt: skip
    exact = ((q[:, None] - y[None]) ** 2).sum(2) / 2
    best = np.sort(exact, axis=1)[:, :20]
    np.testing.assert_allclose(np.take_along_axis(exact, found.rows, 1), best, rtol=1e-5)


def test_too_large_k_is_refused_as_in_memory() -> None:
    x, queries = np.eye(40, 8, dtype=np.float32), np.eye(5, 8, dtype=np.float32)
    groups = np.zeros((40, 2), np.int64)
    groups[:10] = 1
    for knn, asked, own in (
        (Knn(41), np.full((5, 2), -1), None),
        (Knn(40), np.full((5, 2), -1), np.zeros(5, np.int64)),
        (Knn(11), np.zeros((5, 2), np.int64), None),
    ):
        small, blocks = both(None, x, groups, knn)
        with pytest.raises(FeaturesError) as said:
            small.search(queries, asked, own)
        with pytest.raises(FeaturesError) as also:
            blocks.search(queries, asked, own)
        assert str(said.value) == str(also.value)


def test_a_file_that_is_cut_short_meanwhile_is_named(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(5000, 64)).astype(np.float32)
    _, blocks = both(tmp_path, x, np.full((5000, 2), -1), Knn(5))
    blocks.search(x[:2], np.full((2, 2), -1))
    last = blocks.features.files[-1]
    last.write_bytes(last.read_bytes()[:-100_000])
    with pytest.raises(StoreError, match=f"{last.name}: not a whole HDF5 file"):
        blocks.search(x[:2], np.full((2, 2), -1))


def test_only_cells_that_may_hold_something_are_looked_at() -> None:
    import torch

    scores = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 96)).astype(np.float32))
    for limit, most in ((1.5, 8), (-9.0, 8), (0.5, None)):
        query, column, score = large._above(scores, torch.full((5,), limit), most)
        flat = scores.numpy()
        for i in range(5):
            wanted = np.flatnonzero(flat[i] > limit)
            best = wanted[np.argsort(-flat[i][wanted])][:most]
            own = column[query == i]
            assert set(best.tolist()) <= set(own.tolist()) <= set(wanted.tolist())
        np.testing.assert_array_equal(score, flat[query, column])
