"""Which image files are patches, and what a folder or a table says of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from histocnn.errors import PatchesError, UsageError
from histocnn.patches.listing import Listing, list_csv, list_folder
from tests.patches.image_files import write_image


def test_a_folder_names_the_class_and_hidden_files_are_none(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "b/1.jpg", "a/3.tif", "a/.hidden.png", ".git/x.png", "__MACOSX/y.png"):
        write_image(tmp_path / "made" / "x.png").rename(_made(tmp_path / "set" / name))
    (tmp_path / "set" / "a" / "notes.txt").touch()
    listing = list_folder(tmp_path / "set")
    assert listing.paths == ["a/3.tif", "b/1.jpg", "b/2.PNG"]
    assert listing.classes == ["a", "b", "b"]
    assert listing.class_names == ("a", "b")
    assert listing.labels.tolist() == [0, 1, 1]
    assert listing.patient_ids == listing.slide_ids == listing.splits == ["", "", ""]


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize(
    ("pattern", "patients"), [(r"^(p\d+)_", ["p1", "p22"]), (r"p\d", ["p1", "p2"])]
)
def test_the_patient_is_the_first_group_or_the_whole_match(
    tmp_path: Path, pattern: str, patients: list[str]
) -> None:
    for name in ("p1_x.png", "p22_x.png"):
        write_image(tmp_path / name)
    assert list_folder(tmp_path, pattern).patient_ids == patients


def test_a_table_may_be_excels_and_need_not_say_all(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name)
    table = tmp_path / "t.csv"
    table.write_text(
        "path,label,slide_id,split\n a.png ,t,s1,val\nb.png,,,\n", encoding="utf-8-sig"
    )
    listing = list_csv(table)
    assert listing.root == tmp_path
    assert listing.paths == ["a.png", "b.png"]
    assert listing.classes == ["t", ""]
    assert listing.labels.tolist() == [0, -1]
    assert listing.slide_ids == ["s1", ""]
    assert listing.splits == ["val", ""]
    assert list_csv(table, r"(\w)\.png").patient_ids == ["a", "b"]


def test_labels_follow_the_alphabet_and_unknown_is_minus_one() -> None:
    listing = Listing(Path(), ["1", "2", "3"], ["z", "", "a"], [""] * 3, [""] * 3, [""] * 3)
    assert listing.class_names == ("a", "z")
    assert listing.labels.tolist() == [1, -1, 0]


def test_refusals_name_the_place(tmp_path: Path) -> None:
    write_image(tmp_path / "a" / "x.png")
    with pytest.raises(UsageError, match=r"patient_pattern '\('"):
        list_folder(tmp_path, "(")
    with pytest.raises(PatchesError, match=r"does not match a/x\.png"):
        list_folder(tmp_path, r"^\d")
    table = tmp_path / "t.csv"
    table.write_text("path\na/x.png\nb.png\n")
    with pytest.raises(PatchesError, match=r"1 of 2 files do not exist, first 'b\.png' in line 3"):
        list_csv(table)
    table.write_text("path,split\na/x.png,calib\n")
    with pytest.raises(PatchesError, match=r'line 2: "calib" is no split.*or calibration'):
        list_csv(table)
    table.write_bytes(b"path\n\xff\n")
    with pytest.raises(PatchesError, match="It must be a UTF-8 CSV"):
        list_csv(table)
    with pytest.raises(PatchesError, match=r"gone\.csv"):
        list_csv(tmp_path / "gone.csv")
