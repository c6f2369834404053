"""Splits: no group in two, each like the whole, every class where there are patients enough."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from histocnn.cohort.sheet import CALIBRATION, SPLITS
from histocnn.cohort.splits import read_split, set_apart, split, write_split
from histocnn.errors import CohortError, UsageError

COHORTS = st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 9)), min_size=30, max_size=200)


def _rows(patients: int, rows: int, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Rows of patients whose share of class 1 runs from 0 to 1."""
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, patients, rows)
    labels = (rng.random(rows) < rng.random(patients)[patient]).astype(int)
    return labels, [f"p{i}" for i in patient]


def test_shares_and_classes_are_those_of_the_whole() -> None:
    labels, groups = _rows(100, 20_000)
    splits = split(labels, groups, seed=3)
    for name, share in zip(SPLITS, (0.7, 0.15, 0.15), strict=True):
        rows = splits == name
        assert rows.mean() == pytest.approx(share, abs=0.02)
        assert labels[rows].mean() == pytest.approx(labels.mean(), abs=0.05)
    patients = [set(np.array(groups)[splits == name]) for name in SPLITS]
    assert sum(len(found) for found in patients) == len(set(groups))


@given(COHORTS, st.integers(0, 5))
@example([*[(0, 0)] * 28, (0, 1), (1, 2)], 0)  # the two small splits took all three groups
def test_no_group_is_in_two_splits_and_order_does_not_matter(
    rows: list[tuple[int, int]], seed: int
) -> None:
    labels = np.array([label for label, _ in rows])
    groups = [f"p{group}" for _, group in rows]
    if len(set(groups)) < 3:
        return
    splits = split(labels, groups, seed=seed)
    assert set(splits) == set(SPLITS)
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))
    turned = split(labels[::-1], groups[::-1], seed=seed)
    np.testing.assert_array_equal(turned[::-1], splits)


@given(st.integers(0, 50))
def test_a_rare_class_reaches_every_split(seed: int) -> None:
    groups = [f"p{i:02}" for i in range(30) for _ in range(10)]
    labels = np.zeros(300, int)
    for patient in (4, 11, 23):  # three patients with one row each of class 1
        labels[patient * 10] = 1
    splits = split(labels, groups, seed=seed)
    assert set(splits[labels == 1]) == set(SPLITS)


def test_a_class_of_one_patient_is_said(caplog: pytest.LogCaptureFixture) -> None:
    labels = ["normal"] * 9 + ["rare"]
    with caplog.at_level(logging.WARNING):
        splits = split(labels, [f"p{i}" for i in range(10)])
    rare = splits[9]
    others = sorted(set(SPLITS) - {rare})
    assert [record.getMessage() for record in caplog.records] == [
        f"the {name} split has no row of class rare: too few patients" for name in others
    ]


def test_every_row_is_tested_once_and_validated_once() -> None:
    labels, groups = _rows(40, 4_000)
    folds = np.array([split(labels, groups, folds=5, fold=i, seed=1) for i in range(5)])
    assert ((folds == "test").sum(axis=0) == 1).all()
    assert ((folds == "val").sum(axis=0) == 1).all()
    for fold in folds:
        assert (fold == "test").mean() == pytest.approx(0.2, abs=0.03)
        assert labels[fold == "test"].mean() == pytest.approx(labels.mean(), abs=0.05)
        assert len(set(zip(groups, fold, strict=True))) == len(set(groups))


def test_the_seed_decides() -> None:
    labels, groups = _rows(100, 2_000)
    first, again, other = (split(labels, groups, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_part_of_zero_stays_empty() -> None:
    splits = split([0, 1] * 10, [f"p{i}" for i in range(20)], fractions=(0.8, 0.0, 0.2))
    assert set(splits) == {"train", "test"}
    assert (splits == "train").sum() == 16


def test_what_cannot_be_divided() -> None:
    with pytest.raises(CohortError, match="2 patients or slides cannot be divided into 3 splits"):
        split([0, 1, 0], ["a", "b", "a"])
    with pytest.raises(CohortError, match="1 rows have no patient"):
        split([0, 1, 0, 1], ["a", "b", "c", ""])
    with pytest.raises(UsageError, match="not three shares of 1"):
        split([0, 1], ["a", "b"], fractions=(0.7, 0.2, 0.2))
    with pytest.raises(UsageError, match="fold 5 of 5"):
        split([0, 1], ["a", "b"], folds=5, fold=5)
    with pytest.raises(UsageError, match="fold 0 of 2"):
        split([0, 1], ["a", "b"], folds=2)


def test_a_split_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    groups = ["p,2", "p1", "p,2", "p3"]
    splits = ["train", "val", "train", "test"]
    write_split(path, groups, splits)
    assert path.read_text() == 'group,split,rows\n"p,2",train,2\np1,val,1\np3,test,1\n'
    np.testing.assert_array_equal(read_split(path, groups), splits)
    assert list(read_split(path, ["p3"])) == ["test"]
    with pytest.raises(CohortError, match=r"does not name p4, p5 \(2 in all\)"):
        read_split(path, ["p4", "p1", "p5"])


def test_a_split_that_leaks_is_neither_written_nor_read(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    with pytest.raises(CohortError, match=r"p1 \(test and train\)"):
        write_split(path, ["p1", "p1"], ["train", "test"])
    assert not path.exists()
    path.write_text("group,split\np1,train\np1,test\n")
    with pytest.raises(CohortError, match=r"p1 \(test and train\)"):
        read_split(path, ["p1"])
    path.write_text("group,split\np1,training\n")
    with pytest.raises(CohortError, match='line 2: "training" is no split'):
        read_split(path, ["p1"])
    path.write_text("patient_id,split\np1,train\n")
    with pytest.raises(CohortError, match="no column group"):
        read_split(path, ["p1"])


def test_calibration_patients_come_from_training_whole_and_of_every_class(tmp_path: Path) -> None:
    labels, groups = _rows(100, 20_000)
    before = split(labels, groups, seed=3)
    parts = set_apart(labels, groups, before, 0.4, seed=3)
    kept, train = parts == CALIBRATION, parts == "train"
    assert ((before == "train") == (kept | train)).all()
    assert (parts[~kept & ~train] == before[~kept & ~train]).all()
    assert kept.sum() / (before == "train").sum() == pytest.approx(0.4, abs=0.02)
    assert not set(np.array(groups)[kept]) & set(np.array(groups)[~kept])
    assert labels[kept].mean() == pytest.approx(labels.mean(), abs=0.05)
    assert (set_apart(labels, groups, before, 0.4, seed=3) == parts).all()
    write_split(tmp_path / "split.csv", groups, parts.tolist())
    assert (read_split(tmp_path / "split.csv", groups) == parts).all()
