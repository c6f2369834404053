"""What is kept apart: own rows, own patients and slides, and the units of the probe."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from histocnn.reference.apart import left_out, own_rows, units
from histocnn.reference.features import groups_of, load
from tests.feature_files import write_features


def test_groups_are_left_out_by_patient_slide_or_not_at_all(tmp_path: Path) -> None:
    reference = load([write_features(tmp_path / "r.h5", n=4, patients=("p1", "p2"))])
    query = load([write_features(tmp_path / "q.h5", n=2, patients=("p2", "p3"))])
    patients, slides = groups_of(query, reference).T.tolist()
    assert patients == [groups_of(reference, reference)[2, 0], -1]
    assert slides == [-1, -1]
    assert left_out(query, reference, "patient").T.tolist() == [patients, slides]
    assert (left_out(query, reference, "slide")[:, 0] == -1).all()
    assert (left_out(query, reference, "none") == -1).all()


def test_a_row_knows_itself_by_its_files_hash_not_its_name(tmp_path: Path) -> None:
    file = write_features(tmp_path / "a.h5", n=4, nan_rows=[0])
    copy = tmp_path / "renamed.h5"
    copy.write_bytes(file.read_bytes())
    reference, query = load([file]), load([copy]).only(np.array([2, 0]))
    assert own_rows(query, reference).tolist() == [2, 0]
    other = load([write_features(tmp_path / "b.h5", n=4, seed=9)])
    assert own_rows(other, reference).tolist() == [-1] * 4


def test_units_are_patients_then_patches_where_nobody_is_known(tmp_path: Path) -> None:
    known = load([write_features(tmp_path / "a.h5", n=4, patients=("p1", "p2"))])
    own, asked = units(known, known, "patient")
    assert own.tolist() == asked.tolist()
    assert own[0] == own[1] != own[2] == own[3]
    unknown = load([write_features(tmp_path / "b.h5", n=3)])
    own, asked = units(known, unknown, "patient")
    assert len(set(own.tolist())) == 3
    assert asked.tolist() == [-1] * 4
