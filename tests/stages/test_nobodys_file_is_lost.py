"""No stage writes over a file that it did not make, nor among its own inputs; refused at the start.

The folders of version 0.1.0, whose records name no files, are gone on with.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest

from histocnn.cli import main
from tests.slide_files import position_image

OLD = Path(__file__).parents[1] / "previous" / "0.1.0"
MODEL = OLD / "model" / "model.safetensors"
IDS = ("phantom_01", "phantom_03", "phantom_05", "phantom_07")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_refused(capsys: pytest.CaptureFixture[str], folder: Path, *words: object) -> str:
    """The command is wrong usage, names why, and leaves the folder as it was; returns its words."""
    before = contents(folder)
    capsys.readouterr()
    assert main([str(word) for word in words]) == 2
    assert contents(folder) == before
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said.splitlines()[-1]


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder with a flat scan."""
    folder = tmp_path / "d"
    folder.mkdir()
    cv2.imwrite(str(folder / "scan.png"), position_image(600, 400))
    return folder


def test_tile_does_not_draw_over_scans(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("tile", "--slide_mpp", 0.5, "--slides")
    said = assert_refused(capsys, scans, *words, scans, "--out", scans)
    assert f"--out {scans} is the input {scans}" in said
    scan = scans / "scan.png"
    assert f"holds the input {scan}" in assert_refused(capsys, scans, *words, scan, "--out", scans)
    sheet = scans.parent / "slides.csv"
    sheet.write_text(f"slide_id,slide_path,patient_id\nscan,{scan},p1\n")
    assert f"holds the input {scan}" in assert_refused(capsys, scans, *words, sheet, "--out", scans)


def test_tile_does_not_remove_a_scanners_folder(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (out / "scan").mkdir(parents=True)
    (out / "scan" / "Slidedat.ini").write_text("a MIRAX slide's data")
    words = ("tile", "--slides", scans, "--slide_mpp", 0.5, "--patch_px", 64, "--out", out)
    assert main([str(word) for word in words]) == 0
    said = assert_refused(capsys, out, *words, "--export", "png")
    assert f"{out / 'scan'}: there already, and not made by tile" in said


def test_tile_replaces_its_own_export(scans: Path, tmp_path: Path) -> None:
    words = ["tile", "--slides", str(scans), "--slide_mpp", "0.5", "--min_tissue", "0",
             "--out", str(tmp_path / "out"), "--export", "png", "--patch_px"]  # fmt: skip
    for patch_px in ("64", "128"):
        assert main([*words, patch_px]) == 0
    shutil.rmtree(tmp_path / "out" / ".runs")  # as version 0.1.0 named no files
    assert main([*words, "64"]) == 0


def test_an_outline_that_was_edited_in_its_place_stays_as_it_is(
    scans: Path, tmp_path: Path
) -> None:
    sheet, out = tmp_path / "slides.csv", tmp_path / "out"
    words = ["tile", "--slides", str(sheet), "--slide_mpp", "0.5", "--out", str(out)]
    sheet.write_text("slide_id,slide_path,patient_id\nscan,d/scan.png,p1\n")
    assert main([*words, "--patch_px", "64"]) == 0
    outline = out / "scan.tissue.geojson"
    edited = (
        '{"type": "Feature", "properties": {"note": "by hand"}, "geometry": {"type": "Polygon",'
        ' "coordinates": [[[0, 0], [300, 0], [300, 300], [0, 300], [0, 0]]]}}'
    )
    outline.write_text(edited)
    sheet.write_text(
        "slide_id,slide_path,patient_id,tissue_path\nscan,d/scan.png,p1,out/scan.tissue.geojson\n"
    )
    assert main([*words, "--patch_px", "64"]) == 0
    assert outline.read_text() == edited


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ("grids", ["predict", "--model", MODEL, "--patches"]),
        ("grids", ["embed", "--model", MODEL, "--patches"]),
        ("features", ["knn", "--reference", OLD / "reference", "--query"]),
        ("features", ["probe", "--reference", OLD / "reference", "--query"]),
        ("reference", ["knn", "--query", OLD / "features", "--reference"]),
        ("scores", ["heatmap", "--scores"]),
        ("scores", ["export", "--to", "csv", "--scores"]),
        ("scores", ["evaluate", "--scores"]),
        ("grids", ["train", "--data.patches"]),
    ],
)
def test_results_do_not_lie_among_their_inputs(
    tmp_path: Path, inputs: str, words: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "given"
    shutil.copytree(OLD / inputs, folder)
    said = assert_refused(capsys, folder, *words, folder, "--out", folder)
    assert said.count(str(folder)) == 2


def test_mine_does_not_write_among_the_scores_nor_over_a_users_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(OLD / "scores", tmp_path / "scores")
    words = ("mine", "--scores", tmp_path / "scores", "--min_confidence", 0, "--out")
    assert_refused(capsys, tmp_path, *words, tmp_path / "scores" / "hard.csv")
    for name in ("hard.csv", "hard.png"):
        (tmp_path / name).write_text("mine")
        said = assert_refused(capsys, tmp_path, *words, tmp_path / "hard.csv")
        assert f"{tmp_path / name}: there already, and not made by mine" in said
        (tmp_path / name).unlink()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("phantom_03.geojson", ["export", "--scores", OLD / "scores", "--to", "geojson"]),
        ("phantom_03.h5", ["predict", "--patches", OLD / "grids", "--model", MODEL]),
        ("phantom_03_tumour.png", ["heatmap", "--scores", OLD / "scores"]),
        ("slides.csv", ["heatmap", "--scores", OLD / "scores"]),
        ("phantom_03_neighbours.png", ["knn", "--reference", OLD / "reference", "--query",
                                       OLD / "features", "--explain", 1]),
        ("map.png", ["knn", "--reference", OLD / "reference", "--query", OLD / "features",
                     "--map"]),
        ("report.html", ["evaluate", "--scores", OLD / "scores"]),
        ("figures/roc.png", ["evaluate", "--scores", OLD / "scores"]),
        ("config.yaml", ["train", "--data.patches", OLD / "grids"]),
        ("config.yaml", ["train", "--overwrite", "true", "--data.patches", OLD / "grids"]),
        ("checkpoints/best.ckpt", ["train", "--data.patches", OLD / "grids"]),
        ("report/metrics.csv", ["run", "--model", MODEL, "--slides", OLD]),
        ("cohort/slides.csv", ["demo"]),
    ],
)  # fmt: skip
def test_a_users_file_is_not_replaced(
    tmp_path: Path, name: str, words: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "out" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("seed_everything: 3\n" if name == "config.yaml" else "a user's")
    said = assert_refused(capsys, tmp_path, *words, "--out", tmp_path / "out")
    first = tmp_path / "out" / Path(*mine.relative_to(tmp_path / "out").parts[:1])
    assert str(first) in said
    assert f"there already, and not made by {'evaluate' if words[0] == 'run' else words[0]}" in said


def test_one_stages_files_are_not_replaced_by_anothers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores"
    shutil.copytree(OLD / "scores", out)  # predict's
    words = ("knn", "--reference", OLD / "reference", "--query", OLD / "features", "--out", out)
    said = assert_refused(capsys, out, *words)
    assert f"{out / 'phantom_01.h5'}, " in said
    assert "and 1 more: there already, and not made by knn" in said


@pytest.mark.parametrize("with_records", [True, False])
def test_a_folder_of_version_0_1_0_is_made_again_where_options_change(
    tmp_path: Path, with_records: bool
) -> None:
    shutil.copytree(OLD / "knn", tmp_path / "knn")
    if not with_records:
        shutil.rmtree(tmp_path / "knn" / ".runs")
    before = contents(tmp_path / "knn")
    words = ["knn", "--reference", OLD / "reference", "--query", OLD / "features", "--k", 3,
             "--out", tmp_path / "knn"]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    after = contents(tmp_path / "knn")
    assert all(after[f"{name}.h5"] != before[f"{name}.h5"] for name in IDS)


def test_an_export_and_a_report_of_version_0_1_0_are_made_again(tmp_path: Path) -> None:
    shutil.copytree(OLD / "export-csv", tmp_path / "csv")
    words = ["export", "--scores", OLD / "scores", "--to", "csv", "--class_name", "tumour",
             "--out", tmp_path / "csv"]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    report = tmp_path / "report"
    shutil.copytree(OLD / "report", report)
    (report / "report.html").write_text("<!doctype html>")  # too large to be kept among tests
    for _ in range(2):
        words = ["evaluate", "--scores", OLD / "scores", "--allow_seen", "--out", report]
        assert main([str(word) for word in words]) == 0


def test_mine_replaces_its_own_list(tmp_path: Path) -> None:
    scores = tmp_path / "scores"
    shutil.copytree(OLD / "scores", scores)
    sheet = tmp_path / "slides.csv"
    rows = [f"{name},{name}.tif,{name},train" for name in IDS]
    sheet.write_text("\n".join(["slide_id,slide_path,patient_id,split", *rows]))
    for name in IDS:
        (tmp_path / f"{name}.tif").touch()
    for shown in (0, 4):
        words = ["mine", "--scores", scores, "--slides", sheet, "--min_confidence", 0,
                 "--sheet", shown, "--out", tmp_path / "hard.csv"]  # fmt: skip
        assert main([str(word) for word in words]) == 0
    assert (tmp_path / "hard.csv").read_text().startswith("name,row,x,y,path,")
