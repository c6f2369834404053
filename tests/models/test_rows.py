from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest

from histocnn.errors import CohortError, PatchesError
from histocnn.models.rows import Rows, group
from tests.models.patch_files import module, write_csv, write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("patches") / "images")


@pytest.fixture
def own(tmp_path):
    """A folder that a test may spoil."""
    return write_folder(tmp_path / "images", patients=10, per_patient=2)


@pytest.fixture(autouse=True)
def _log_everything(caplog):
    caplog.set_level(logging.WARNING)


def test_without_patients_only_by_file_when_asked(folder, caplog):
    with pytest.raises(CohortError, match=r"144 patches neither patient nor slide.*split_by stain"):
        module(folder, patient_pattern=None)
    module(folder, patient_pattern=None, split_by="file")
    assert "optimistic" in caplog.text


def test_a_patient_in_two_given_splits_is_named(tmp_path):
    listing = write_csv(tmp_path, {"train": 8, "val": 8, "test": 8})
    listing.write_text(listing.read_text().replace("val0,val", "train0,val"))
    with pytest.raises(CohortError, match="train0"):
        module(listing, patient_pattern=None)


def test_identical_patches_in_two_splits_are_named(own):
    first = module(own)
    train = first.rows["train"].name(0)
    test = first.rows["test"].name(0)
    shutil.copy(own / train, own / test)
    with pytest.raises(CohortError, match="are the same image") as error:
        module(own)
    assert train in str(error.value)
    assert test in str(error.value)


def test_single_class_and_empty_class(own):
    with pytest.raises(PatchesError, match=r"class c has no patches"):
        module(own, class_names=["a", "b", "c"])
    with pytest.raises(PatchesError, match=r"labels that are not in class_names: b"):
        module(own, class_names=["a"])
    shutil.rmtree(own / "b")
    with pytest.raises(PatchesError, match="only the class a"):
        module(own)
    (own / "b").mkdir()
    with pytest.raises(PatchesError, match="no images in it"):
        module(own)


def test_a_known_patient_may_be_split_by_file_when_asked(folder, caplog):
    data = module(folder, split_by="file")
    shared = set(data.rows["train"].patient_ids) & set(data.rows["test"].patient_ids)
    assert shared
    assert "optimistic" in caplog.text


def test_rows_stay_with_their_patient_else_their_slide():
    count = np.zeros(3, np.int64)
    rows = Rows([], count, count, count, ("a", "b"), ["p1", "", "p1"], ["s1", "s2", "s3"], [""] * 3)
    assert group(rows, "patient") == ["p1", "s2", "p1"]
    assert rows.take(np.array([2, 1])).slide_ids == ["s3", "s2"]
