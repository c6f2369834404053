"""Class × split before training, and what is refused of it."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.errors import CohortError
from histocnn.models.census import FEW, check_classes, few, table
from histocnn.models.data import PatchDataModule
from histocnn.models.options import DataOptions, ModelOptions
from histocnn.models.rows import Rows
from tests.models.patch_files import write_csv


def rows(labels, slides, patients):
    count = np.arange(len(labels))
    return Rows([], count, count, np.array(labels, np.int64), ("normal", "tumour"),
                patients, slides, [""] * len(labels))  # fmt: skip


def test_the_table_by_hand():
    parts = {
        "train": rows([0, 0, 1], ["s1", "s2", "s2"], ["p1", "p1", "p1"]),
        "val": rows([0, 1], ["s3", "s3"], ["", ""]),
        "test": rows([1], ["s4"], ["p4"]),
    }
    assert [line.split() for line in table(parts).splitlines()] == [
        ["train", "val", "test"],
        ["patches", "slides", "patients"] * 3,
        ["normal", "2", "2", "1", "1", "1", "?", "0", "0", "0"],
        ["tumour", "1", "1", "1", "1", "1", "?", "1", "1", "1"],
        ["all", "3", "2", "1", "2", "1", "?", "1", "1", "1"],
    ]
    assert len({len(line) for line in table(parts).splitlines()[1:]}) == 1  # columns in line


def test_few_patches_to_fine_tune_on_are_said_to_be_few():
    some = {"train": rows([0] * 1_234, ["s"] * 1_234, ["p"] * 1_234)}
    many = {"train": rows([0] * FEW, ["s"] * FEW, ["p"] * FEW)}
    assert few(some, ModelOptions()).startswith("1,234 patches to fine-tune on: with so few, a")
    assert few(many, ModelOptions()) == ""
    assert few(some, ModelOptions(finetune="head")) == ""
    assert few(some, ModelOptions(weights=None)) == ""


def test_a_class_without_training_patches_is_refused_and_the_remedy_is_what_decided():
    parts = {"train": rows([0], ["a"], ["p"]), "val": rows([0, 1], ["b"] * 2, ["q"] * 2)}
    with pytest.raises(CohortError, match=r"no patches of class tumour.*Change the split column"):
        check_classes(parts, "the split column of slides.csv")


def test_a_validation_split_of_one_class_is_refused_and_fractions_are_not_blamed(tmp_path):
    listing = write_csv(tmp_path, {"train": 8, "val": 8, "test": 8})
    lines = listing.read_text().splitlines()
    listing.write_text("\n".join(x for x in lines if not (",b," in x and x.endswith(",val"))))
    with pytest.raises(CohortError, match="validation split has only the class a") as error:
        PatchDataModule(DataOptions(listing, workers=0))
    assert "Change the split column of " in error.value.remedy
    assert "fractions" not in str(error.value)
