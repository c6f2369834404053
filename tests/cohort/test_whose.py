"""Whose a patch is: by slides.csv, by itself, by its slide; and what intervals resample."""

from __future__ import annotations

from pathlib import Path

from histocnn.cohort.sheet import SlideEntry
from histocnn.cohort.whose import owners, patients_of


def test_slides_csv_says_whose_a_slide_is_before_its_file_does() -> None:
    entries = {
        "s1": SlideEntry("s1", Path("s1.svs"), patient_id="P1"),
        "s2": SlideEntry("s2", Path("s2.svs")),
    }
    slides, said = ["s1", "s1", "s2", "s3", ""], ["", "X", "P2", "P3", "P4"]
    assert patients_of(slides, said, entries) == ["P1", "P1", "P2", "P3", "P4"]


def test_a_slide_of_one_patient_is_of_this_patient_in_all_its_rows() -> None:
    assert patients_of(["s1", "s1", "s2"], ["P1", "", ""]) == ["P1", "P1", ""]
    # a tissue array: nobody knows whose the last core is
    assert patients_of(["t", "t", "t"], ["P1", "P2", ""]) == ["P1", "P2", ""]
    assert patients_of(["", ""], ["P1", ""]) == ["P1", ""]


def test_slides_stand_in_for_patients_and_are_never_mistaken_for_them() -> None:
    found = owners(["s1", "x", "s2", "s1", ""], ["P1", "", "x", "", ""])
    assert found.of_row.tolist() == [0, 3, 1, 2, -1]
    assert found.names == ("P1", "x", "s1", "x")
    assert found.unit == "patients and slides"
    assert owners(["s1"], [""]).unit == "slides"
    assert owners(["s1", ""], ["P1", "P1"]).unit == "patients"
    assert owners(["", ""], ["", ""]).of_row.tolist() == [-1, -1]


def test_stain_groups_stand_in_where_neither_is_known() -> None:
    found = owners(["", "s1", "", ""], ["P1", "", "", ""], ["x", "x", "x", ""])
    assert found.of_row.tolist() == [0, 1, 2, -1]
    assert found.names == ("P1", "s1", "x")
    assert found.unit == "patients and slides and stain groups"
    assert owners(["", ""], ["", ""], ["x", "x"]).unit == "stain groups"
