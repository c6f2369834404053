from __future__ import annotations

import numpy as np
import pytest

from histocnn.cohort.table import read_table
from histocnn.errors import CohortError
from histocnn.models.parsing import parse
from histocnn.searching.folds import division_of, fold_file, write_folds
from tests.models.patch_files import PATTERN, write_folder


def groups_in(path, *splits):
    return {
        row["group"] for _, row in read_table(path, ("group", "split")) if row["split"] in splits
    }


def test_each_patient_of_training_and_validation_is_validated_once_and_no_test_patient_is_named(
    tmp_path,
):
    groups = [f"p{i // 4}" for i in range(48)]  # 12 patients of 4
    labels = np.arange(48) % 2
    parts = np.array(["train"] * 28 + ["val"] * 8 + ["test"] * 8 + ["calibration"] * 4)
    write_folds(tmp_path, labels, groups, parts, folds=3, seed=0)
    inside = {f"p{i}" for i in range(9)}
    validated = [groups_in(fold_file(tmp_path, fold), "val") for fold in range(3)]
    assert [len(v) for v in validated] == [3, 3, 3]
    assert set.union(*validated) == inside
    for fold in range(3):
        assert groups_in(fold_file(tmp_path, fold), "train", "val") == inside
    assert groups_in(tmp_path / "split.csv", "test") == {"p9", "p10"}
    again = tmp_path / "split_refit.csv"
    assert groups_in(again, "test") == {"p9", "p10"}
    assert groups_in(again, "train", "val") == inside
    assert len(groups_in(again, "val")) == 1


def test_one_fold_is_the_split_itself(tmp_path):
    groups = [f"p{i}" for i in range(8)]
    parts = np.array(["train"] * 4 + ["val"] * 2 + ["test"] * 2)
    write_folds(tmp_path, np.arange(8) % 2, groups, parts, folds=1, seed=0)
    assert groups_in(fold_file(tmp_path, 0), "val") == {"p4", "p5"}
    assert groups_in(fold_file(tmp_path, 0), "test") == set()


def test_without_test_patients_nothing_is_searched(tmp_path):
    parts = np.array(["train", "val"])
    with pytest.raises(CohortError, match="the test split is empty"):
        write_folds(tmp_path, [0, 1], ["a", "b"], parts, folds=2, seed=0)


def test_the_division_is_trainings_own_and_looks_at_no_picture(tmp_path, monkeypatch):
    patches = write_folder(tmp_path / "disc", patients=10, per_patient=2)
    monkeypatch.setattr("histocnn.patches.images.read_image", None)
    options = parse([f"--data.patches={patches}", f"--data.patient_pattern={PATTERN}"])
    labels, groups, parts = division_of(options)
    assert len(labels) == 40
    assert len(set(groups)) == 10
    assert set(parts) == {"train", "val", "test"}
