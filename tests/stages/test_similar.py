"""histocnn similar: the place read as the archive was, its nearest patches, and clear refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.cli import main
from histocnn.errors import FeaturesError, UsageError
from histocnn.stages.embed import embed
from histocnn.stages.similar import similar
from histocnn.stages.tile import tile
from histocnn.storage import store
from tests.grid_files import write_grid
from tests.models.small_networks import write_weights


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four slides of three patients with grids of 28 px, and a LeNet-5's features of them."""
    folder = tmp_path_factory.mktemp("similar")
    for number, patient in enumerate(["p1", "p2", "p2", "p3"]):
        size = (600 - 40 * number, 400 - 16 * number)
        write_grid(folder, f"s{number}", size=size, patient_id=patient, roll=37 * number)
    weights = str(write_weights(folder / "lenet5.safetensors"))
    embed(folder / "grids", folder / "archive", "lenet5", weights, threads=1)
    return folder


def middle(place: Path, slide: str, row: int) -> tuple[float, float]:
    """The middle of a patch of the archive, level-0 px: its slides have 0.5 µm/px, patches 1."""
    x, y = store.read(place / "archive" / f"{slide}.h5", "coords")["coords"][row]
    return float(x) + 28, float(y) + 28


def ask(place: Path, slide: str, at: object, out: Path, **how: object) -> list[dict[str, object]]:
    options = {
        "weights": str(place / "lenet5.safetensors"),
        "device": "cpu",
        "show_ids": True,
        **how,
    }
    query = place / "slides" / f"{slide}.tiff"
    found = similar(place / "archive", query, at, out, **options)  # type: ignore[arg-type]
    assert found.exit_code == 0
    return [dict(row) for row in found.rows]


def test_a_patch_of_the_archive_finds_itself_first(place: Path, tmp_path: Path) -> None:
    at = middle(place, "s2", 20)
    [first, *others] = ask(place, "s2", at, tmp_path, exclude="none")
    assert (first["file"], first["row"], first["patient_id"]) == ("s2.h5", 20, "p2")
    assert float(first["distance"]) < 1e-5  # type: ignore[arg-type]
    assert len({row["patient_id"] for row in (first, *others)}) == 3
    distances = [row["distance"] for row in (first, *others)]
    assert distances == sorted(distances)  # type: ignore[type-var]
    label = store.read(place / "archive" / "s2.h5", "labels")["labels"][20]
    assert first["label"] == ("", "a", "b")[int(label) + 1]


def test_the_own_patient_is_left_out_and_what_is_found_is_written(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = middle(place, "s2", 20)
    rows = ask(place, "s2", f"{x:g},{y:g}", tmp_path)
    assert sorted(str(row["patient_id"]) for row in rows) == ["p1", "p3"]
    assert "Of 12 patients asked for there are 2." in capsys.readouterr().out
    stem = f"s2_x{x:.0f}_y{y:.0f}"
    with (tmp_path / f"{stem}.csv").open(newline="") as lines:
        table = list(csv.DictReader(lines))
    assert [line["slide_id"] for line in table] == [row["slide_id"] for row in rows]
    document = json.loads((tmp_path / f"{stem}.json").read_text())
    assert document["found"] == rows
    assert (document["slide_id"], document["mpp"]) == ("s2", 1.0)
    assert document["encoder"]["licence"] == ""
    sheet = cv2.imread(str(tmp_path / f"{stem}.png"))
    assert sheet.shape[1] > 3 * 150  # the query and two
    assert str(tmp_path) not in (tmp_path / f"{stem}.json").read_text()
    same = ask(place, "s2", (x, y), tmp_path, each="slide", exclude="slide")  # again, over its own
    assert sorted(str(row["slide_id"]) for row in same) == ["s0", "s1", "s3"]


def test_one_nearest_patch_of_each_is_what_brute_force_says(place: Path, tmp_path: Path) -> None:
    rows = ask(place, "s0", middle(place, "s0", 31), tmp_path, each="none", count=7)
    parts = {f"s{i}": store.read(place / "archive" / f"s{i}.h5")["features"] for i in range(4)}
    own = parts.pop("s0")[31].astype(np.float32)
    rest = np.concatenate([part.astype(np.float32) for part in parts.values()])
    own, rest = own - rest.mean(0), rest - rest.mean(0)
    far = 1 - rest @ own / np.linalg.norm(rest, axis=1) / np.linalg.norm(own)
    np.testing.assert_allclose([row["distance"] for row in rows], np.sort(far)[:7], atol=1e-5)


def test_an_archive_that_stays_in_its_files_gives_the_same(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    at = middle(place, "s1", 5)
    rows = ask(place, "s1", at, tmp_path / "a")
    monkeypatch.setattr("histocnn.stages.similar.stays", lambda *_: "the reference is large")
    large = ask(place, "s1", at, tmp_path / "b")
    assert "The reference is large\n" in capsys.readouterr().out
    for one, other in zip(rows, large, strict=True):
        assert one.pop("distance") == pytest.approx(other.pop("distance"), abs=1e-5)
    assert rows == large


def test_a_renamed_slide_is_known_by_its_bytes(place: Path, tmp_path: Path) -> None:
    other = tmp_path / "renamed.tiff"
    other.write_bytes((place / "slides" / "s1.tiff").read_bytes())
    options = {"weights": str(place / "lenet5.safetensors"), "show_ids": True}
    found = similar(place / "archive", other, middle(place, "s1", 3), tmp_path / "out", **options)  # type: ignore[arg-type]
    assert {row["patient_id"] for row in found.rows} == {"p1", "p3"}


def test_slides_csv_says_whose_a_slide_is_and_strangers_are_warned_of(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "slides" / "new.tiff"
    write_grid(tmp_path, "new", size=(580, 390))
    options = {"weights": str(place / "lenet5.safetensors"), "at": (200, 200)}
    similar(place / "archive", new, out=tmp_path / "a", **options)  # type: ignore[arg-type]
    assert "Nobody knows whose new is" in capsys.readouterr().out
    lines = ["slide_id,slide_path,patient_id", "new,slides/new.tiff,p3"]
    lines += [f"s{i},{place}/slides/s{i}.tiff,{p}" for i, p in enumerate(["p1", "p2", "p2", "p3"])]
    (tmp_path / "slides.csv").write_text("\n".join(lines))
    assert "p1" not in next((tmp_path / "a").glob("*.csv")).read_text()  # nobody is named unasked
    assert '"p1"' not in next((tmp_path / "a").glob("*.json")).read_text()
    options |= {"slides": tmp_path / "slides.csv", "show_ids": True}
    found = similar(place / "archive", "new", out=tmp_path / "b", **options)  # type: ignore[arg-type]
    assert {row["patient_id"] for row in found.rows} == {"p1", "p2"}
    assert "Nobody knows" not in capsys.readouterr().out


def test_refusals(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["similar", "--reference", str(place / "archive"), "--out", str(tmp_path / "out")]
    words += ["--query", str(place / "slides" / "s0.tiff")]
    assert main([*words, "--at", "100,100"]) == 2
    assert (
        "s0.h5: was made by lenet5, whose weights the file does not hold. Give the --weights"
        in (capsys.readouterr().err)
    )
    other = str(write_weights(tmp_path / "other.safetensors", seed=1))
    assert main([*words, "--at", "100,100", "--weights", other]) == 1
    shown = capsys.readouterr().err
    assert "other.safetensors (what differs: weights)" in shown
    assert "that embed was given" in shown
    assert main([*words, "--at", "100000,3", "--weights", other]) == 2
    assert "--at 100000,3 is not on s0.tiff" in capsys.readouterr().err
    assert main([*words, "--at", "here", "--weights", other]) == 2
    assert "level-0 pixels" in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "s0_x100_y100.csv").write_text("mine")
    mine = str(place / "lenet5.safetensors")
    assert main([*words, "--at", "100,100", "--weights", mine]) == 2
    assert (tmp_path / "out" / "s0_x100_y100.csv").read_text() == "mine"


def test_nothing_is_left_to_compare_with(place: Path, tmp_path: Path) -> None:
    options = {"weights": str(place / "lenet5.safetensors")}
    with pytest.raises(FeaturesError, match="query's own patient"):
        similar(
            place / "archive" / "s0.h5", place / "slides" / "s0.tiff", (99, 99), tmp_path, **options
        )  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is no point"):
        similar(place / "archive", "s0", "1,2,3", tmp_path)


def test_stains_are_those_of_the_slide_and_not_of_the_one_patch(demo: Path, tmp_path: Path) -> None:
    """As the archive has them, else as tile would find them."""
    weights = str(write_weights(tmp_path / "lenet5.safetensors"))
    slide = demo / "cohort" / "slides" / "phantom_01.tif"
    tile(demo / "cohort" / "slides.csv", tmp_path / "grids", patch_px=112, mpp=1.0, threads=1)
    embed(
        tmp_path / "grids", tmp_path / "archive", "lenet5", weights, input_px=28, stain="macenko",
        threads=1,
    )  # fmt: skip
    file = tmp_path / "archive" / "phantom_01.h5"
    x, y = store.read(file, "coords")["coords"][1].tolist()
    at = float(x) + 112, float(y) + 112
    options = {"weights": weights, "exclude": "none", "each": "none", "count": 2}
    for without in (False, True):
        if without:
            kept = {k: v for k, v in store.attributes(file).items() if k != "stains"}
            store.write(file, store.read(file), kept)
        first, second = similar(
            tmp_path / "archive", slide, at, tmp_path / str(without), **options
        ).rows  # type: ignore[arg-type]
        assert first["row"] == 1
        assert 50 * first["distance"] < second["distance"]
