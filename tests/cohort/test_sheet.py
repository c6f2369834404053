"""slides.csv and what stands in its place; every mistake is named with its row and column."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from histocnn.cohort.sheet import SlideEntry, check_leakage, read_cohort
from histocnn.errors import CohortError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("slides/a.svs", "slides/b.svs", "a.xml", "a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "slides.csv"
    path.write_bytes(text.encode(encoding))
    return path


def refuse(path: Path, *said: str) -> None:
    with pytest.raises(CohortError) as caught:
        read_cohort(path)
    message = str(caught.value)
    assert "\n" not in message
    for text in (str(path), *said):
        assert text in message


def test_every_column_is_read_and_paths_lie_beside_the_csv(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    path = table(
        folder,
        "slide_id,slide_path,patient_id,label,split,annotation_path,background,mpp,center,scanner,"
        "tissue_path,age\r\n"
        'a, slides/a.svs ,p1,"tumour, lobular",train,a.xml,normal,0.25,c1,s1,a.png,70\r\n'
        "\r\n"
        "b,slides/b.svs,,,,,,,,,,\r\n",
    )
    a, b = read_cohort(path)
    assert a == SlideEntry(
        slide_id="a",
        slide_path=folder / "slides/a.svs",
        patient_id="p1",
        label="tumour, lobular",
        split="train",
        annotation_path=folder / "a.xml",
        background="normal",
        mpp=0.25,
        center="c1",
        scanner="s1",
        tissue_path=folder / "a.png",
    )
    assert b == SlideEntry("b", folder / "slides/b.svs")


def test_absolute_paths_and_excels_byte_order_mark_are_fine(folder: Path) -> None:
    text = f"slide_id,slide_path\na,{folder}/slides/a.svs\n"
    (entry,) = read_cohort(table(folder, text, "utf-8-sig"))
    assert entry.slide_path == folder / "slides/a.svs"


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("mpp", ["0,25", "0.25"])
def test_excels_separators_are_read_with_their_decimal_comma(
    folder: Path, separator: str, mpp: str
) -> None:
    rows = [
        ["slide_id", "slide_path", "label", "mpp", "split"],
        ["a", "slides/a.svs", "grade 1, mild", mpp, "train"],
        ["b", "slides/b.svs", "", "", ""],
    ]
    text = "\r\n".join(separator.join(row) for row in rows) + "\r\n"
    a, b = read_cohort(table(folder, text, "utf-8-sig"))
    assert (a.mpp, a.label, a.split) == (0.25, "grade 1, mild", "train")
    assert b == SlideEntry("b", folder / "slides/b.svs")


HEAD = "slide_id,slide_path,mpp,split\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["is empty", "slide_id, slide_path"]),
        (HEAD, ["has no rows"]),
        ("slide_id,patient_id\na,b\n", ["no column slide_path", "slide_id, patient_id"]),
        (
            "slide_id,slide_path,patient\na,slides/a.svs,p\n",
            ['"patient" is unknown', '"patient_id"?'],
        ),
        ("slide_id,slide_path,Labels\na,slides/a.svs,p\n", ['"Labels"', 'Did you mean "label"?']),
        ("Slide ID,slide_path\na,slides/a.svs\n", ['"Slide ID"', 'Did you mean "slide_id"?']),
        ("slide_id,slide_path,label,label\na,slides/a.svs,,\n", ["column label twice"]),
        (HEAD + "a,slides/a.svs,0,\n", ['line 2, column mpp: "0" is no resolution']),
        (HEAD + "a,slides/a.svs,-0.5,\n", ['line 2, column mpp: "-0.5"']),
        (HEAD + "\na,slides/a.svs,nan,\n", ['line 3, column mpp: "nan"']),
        (
            HEAD + 'a,slides/a.svs,"0,25",\n',
            ['"0,25" is no resolution', "as a point: 0.25."],
        ),
        (HEAD.replace(",", ";") + "a;slides/a.svs;0,25 µm;\n", ['"0,25 µm" is no resolution']),
        (HEAD.replace(",", ";") + "a;slides/a.svs;1.300,5;\n", ['"1.300,5" is no resolution']),
        ("slide_id;slide_path,split\n" * 2, ["no column slide_id"]),
        (HEAD + "a,slides/a.svs,inf,\n", ['"inf" is no resolution']),
        (HEAD + "a,,0.5,\n", ["line 2, column slide_path is empty"]),
        (HEAD + "a,slides/a.svs,,validation\n", ['column split: "validation" is no split']),
        (
            HEAD + "a,slides/a.svs,,holdout\n",
            ["column split", "Write train or val or test or calibration."],
        ),
        (HEAD + "a,slides/a.svs,0,25,\n", ["line 2 has 5 values for 4 columns", "quotes", "point"]),
        (HEAD + "a,slides/a.svs\n", ["line 2 has 2 values for 4 columns"]),
        (HEAD + 'a,"slides/a.svs,,\n', ["is not CSV"]),
        (HEAD + "a,slides/a.svs,,\na,slides/b.svs,,\n", ["the same slide_id twice: a"]),
        (HEAD + "a,slides/a.svs,,\nb,slides/../slides/a.svs,,\n", ["the same slide_path twice"]),
        (HEAD + "a,slides/c.svs,,\n", ["no such file", "slides/c.svs of a", "CSV's folder"]),
        (HEAD + "a,slides,,\n", ["no such file"]),
        (HEAD + "a/b,slides/a.svs,,\n", ['slide_id "a/b" cannot be part of a file name']),
        (HEAD + "..,slides/a.svs,,\n", ['".."']),
        (HEAD + "x" * 181 + ",slides/a.svs,,\n", ["at most 180"]),
        ("slide_id,slide_path,annotation_path\na,slides/a.svs,x.xml\n", ["x.xml of a"]),
        ("slide_id,slide_path,tissue_path\na,slides/a.svs,x.png\n", ["x.png of a"]),
        (
            "slide_id,slide_path,patient_id,split\na,slides/a.svs,p1,train\nb,slides/b.svs,p1,test\n",
            ["the same patient is in two splits: p1 (test and train)", "too good"],
        ),
    ],
)
def test_a_csv_that_cannot_be_meant(folder: Path, text: str, said: list[str]) -> None:
    refuse(table(folder, text), *said)


def test_another_encoding_is_named_with_its_line(folder: Path) -> None:
    text = "slide_id,slide_path\na,slides/a.svs\nä,slides/b.svs\n"
    refuse(table(folder, text, "latin-1"), "line 3 is not UTF-8")
    refuse(table(folder, text, "utf-16"), "is not UTF-8")


def test_many_missing_files_are_counted(folder: Path) -> None:
    rows = "".join(f"s{i},gone/{i}.svs\n" for i in range(9))
    refuse(table(folder, "slide_id,slide_path\n" + rows), "gone/2.svs of s2 and 6 more")


def test_a_folder_and_a_slide_stand_for_a_csv(folder: Path) -> None:
    (folder / "slides" / "notes.txt").touch()
    (folder / "slides" / ".hidden.svs").touch()
    (folder / "slides" / "C.TIFF").touch()
    slides = folder / "slides"
    assert read_cohort(slides) == [
        SlideEntry("C", slides / "C.TIFF"),
        SlideEntry("a", slides / "a.svs"),
        SlideEntry("b", slides / "b.svs"),
    ]
    assert read_cohort(slides / "b.svs") == [SlideEntry("b", slides / "b.svs")]


def test_what_is_no_cohort(folder: Path) -> None:
    refuse(folder / "gone", "no such file or folder")
    refuse(folder / "a.xml", "neither a slide, a folder nor a .csv")
    (folder / "empty" / "inner").mkdir(parents=True)
    refuse(folder / "empty", "a folder without slides (1 subfolders are not searched)", ".svs")
    (folder / "slides" / "a.png").touch()
    refuse(folder / "slides", "the same slide_id twice: a")


def test_the_images_of_a_vms_are_no_slides(folder: Path) -> None:
    slides = folder / "slides"
    (slides / "x.vms").write_text("[Virtual Microscope Specimen]\nImageFile=x.jpg\nMapFile=m.jpg\n")
    for name in ("x.jpg", "m.jpg", "other.jpg"):
        (slides / name).touch()
    assert [entry.slide_path.name for entry in read_cohort(slides)] == [
        *("a.svs", "b.svs", "other.jpg", "x.vms")
    ]


def test_a_dicom_series_is_one_slide(shared: Path, tmp_path: Path) -> None:
    data = (shared / "data" / "slides" / "camelyon-jpeg.dcm").read_bytes()
    (tmp_path / "level0.dcm").write_bytes(data)
    (tmp_path / "broken.dcm").write_bytes(b"no DICOM")
    assert [entry.slide_id for entry in read_cohort(tmp_path)] == ["broken", "level0"]
    other = tmp_path / "copy of level 0.dcm"
    other.write_bytes(data + b"\0" * 2)  # the larger file of the series stands for it
    os.sync()
    assert [entry.slide_id for entry in read_cohort(tmp_path)] == ["broken", "copy of level 0"]


def test_leakage_is_named() -> None:
    check_leakage(["p1", "p1", None, None, "", ""], ["train", "train", "train", "test", "a", "b"])
    check_leakage(["p1", "p1"], ["train", None])
    with pytest.raises(CohortError, match=r"p1 \(test and train\), p3 \(test and val\)\. Keep"):
        check_leakage(
            ["p1", "p2", "p3", "p1", "p3"], ["train", "train", "val", "test", "test"]
        )  # fmt: skip
