"""`histocnn doctor` on slides with one fault each, and on the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histocnn.cli import main
from histocnn.errors import UsageError
from histocnn.stages.doctor import doctor as from_python
from tests.slide_files import damage_tile, write_pyramid, zero_bytes
from tests.stages.test_tile import tissue_image


def doctor(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", *map(str, words), "--json"])
    return code, {found["slide_id"]: found for found in json.loads(capsys.readouterr().out)}


def test_a_good_slide_is_ok(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pyramid(tmp_path / "a.tiff", tissue_image(), mpp=0.5)
    code, found = doctor(capsys, "--slides", tmp_path / "a.tiff", "--patch_px", 256)
    assert code == 0
    a = found["a"]
    assert a["verdict"] == "ok"
    assert a["size_l0"] == [2048, 1536]
    assert a["slide_mpp"] == pytest.approx([0.5, 0.5])
    assert a["reader"] == "jpeg-tiff"
    assert a["patches"] == 24
    assert a["pixel_bytes"] == 24 * 256 * 256 * 3
    assert [level["downsample"][0] for level in a["levels"]] == [1, 2, 4]
    assert a["levels"][0]["tile_px"] == [256, 256]
    assert a["misfit"] == ""
    assert a["tissue_mm2"] == pytest.approx(1536 * 1024 * 0.25e-6, rel=0.1)


def test_the_table_is_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pyramid(tmp_path / "a.tiff", tissue_image(), mpp=None)
    assert main(["doctor", "--slides", str(tmp_path / "a.tiff")]) == 1
    shown = capsys.readouterr().out
    assert "unusable" in shown
    assert "--slide_mpp" in shown


def test_a_tile_that_cannot_be_decoded_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pyramid(tmp_path / "a.tiff", tissue_image(), mpp=0.5)
    damage_tile(tmp_path / "a.tiff", level=1, col=1, row=1)
    code, found = doctor(capsys, "--slides", tmp_path / "a.tiff")
    assert code == 1
    assert found["a"]["problems"][0].startswith("level 1: ")


def test_a_resolution_that_contradicts_the_file_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pyramid(tmp_path / "a.tiff", tissue_image(), mpp=0.5)
    code, found = doctor(capsys, "--slides", tmp_path / "a.tiff", "--slide_mpp", 0.25)
    assert code == 0
    assert found["a"]["verdict"] == "look"
    assert "given 0.25 µm/px, but the file says 0.5" in found["a"]["warnings"][0]


def test_objective_power_must_go_with_the_resolution(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    description = "Aperio Image\r\n|AppMag = 40|MPP = 0.5"
    write_pyramid(tmp_path / "a.svs", tissue_image(), mpp=None, description=description)
    _, found = doctor(capsys, "--slides", tmp_path / "a.svs")
    assert "×40 objective does not go with 0.5 µm/px" in found["a"]["warnings"][0]


def test_an_empty_slide_deserves_a_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pyramid(tmp_path / "a.tiff", np.full((600, 800, 3), 244, np.uint8), mpp=0.5)
    code, found = doctor(capsys, "--slides", tmp_path / "a.tiff")
    assert code == 0
    assert found["a"]["warnings"] == ["no tissue found"]


def test_a_slide_coarser_than_asked_is_sound_and_says_what_it_serves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pyramid(tmp_path / "a.tiff", tissue_image(), mpp=1.3)
    code, found = doctor(capsys, "--slides", tmp_path / "a.tiff")
    assert code == 0
    a = found["a"]
    assert (a["verdict"], a["problems"], a["patches"]) == ("look", [], None)
    assert "Ask for --mpp 1.3 or more" in a["misfit"]
    assert a["tissue_mm2"] == pytest.approx(1536 * 1024 * 1.69e-6, rel=0.1)
    _, found = doctor(capsys, "--slides", tmp_path / "a.tiff", "--mpp", 1.3)
    assert found["a"]["verdict"] == "ok"


def test_a_slide_smaller_than_a_patch_is_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pyramid(tmp_path / "a.tiff", tissue_image(), mpp=0.5)
    code, found = doctor(capsys, "--slides", tmp_path / "a.tiff", "--patch_px", 4096)
    assert (code, found["a"]["verdict"]) == (0, "look")
    assert "more than the slide's 2048 × 1536" in found["a"]["misfit"]


def test_zeroed_bytes_in_a_tile_are_found_by_decoding_every_tile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        write_pyramid(tmp_path / f"{name}.tiff", tissue_image(), mpp=0.5, quality=80)
    zero_bytes(tmp_path / "a.tiff", 0, 5, 2)
    code, found = doctor(capsys, "--slides", tmp_path)
    assert (code, found["a"]["verdict"]) == (0, "ok")  # nothing shows it
    assert found["a"]["tiles"] == []
    code, found = doctor(capsys, "--slides", tmp_path, "--deep")
    assert (code, found["a"]["verdict"]) == (1, "unusable")
    assert found["a"]["problems"][0].startswith("level 0: 1 of 48 tiles are not what was written")
    assert found["a"]["problems"][0].endswith("the first at (1280, 512)")
    assert found["a"]["tiles"][0]["first_damaged_l0"] == [1280, 512]
    assert found["b"]["problems"] == []
    assert main(["doctor", "--slides", str(tmp_path), "--deep"]) == 1
    shown = capsys.readouterr()
    assert "63 of 64" in shown.out
    assert "b: 64 tiles, 4 MPixel in " in shown.err


def test_from_python_the_findings_are_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pyramid(tmp_path / "a.tiff", tissue_image(), mpp=0.5)
    (tmp_path / "b.svs").write_bytes(b"nonsense")
    result = from_python(str(tmp_path), patch_px=256)
    assert capsys.readouterr().out.count("\n") > 2
    assert result.exit_code == 1
    assert list(result.failures) == ["b"]
    assert "b.svs: cannot be opened as a slide" in result.failures["b"]
    table = result.to_dataframe().set_index("slide_id")
    assert table.verdict.to_dict() == {"a": "ok", "b": "unusable"}
    assert table.patches["a"] == 24
    with pytest.raises(UsageError, match=r"--min_tissue 1\.2 is not a share\. Give a number"):
        from_python(tmp_path, min_tissue=1.2)


def test_the_real_slides(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = doctor(capsys, "--slides", shared / "data/slides", "--mpp", 1.3)
    assert code == 1
    verdicts = {name: f["verdict"] for name, f in found.items()}
    assert verdicts["CMU-1-Small-Region"] == verdicts["CRC01-west"] == "ok"
    for name in ["TCGA-XK-AAJU-prostate-pen-marks", "camelyon-jpeg"]:  # 4.64 and 29 µm/px
        assert verdicts[name] == "look"
    for name in ["broken", "unopenable", "unreadable", "boxes", "TCGA-CR-7395-no-mpp-jp2k"]:
        assert verdicts[name] == "unusable"
    assert "352.778" in found["boxes"]["problems"][0]
    assert "--slide_mpp" in found["TCGA-CR-7395-no-mpp-jp2k"]["problems"][0]
    assert found["CMU-1-Small-Region"]["reader"] == "jpeg-tiff"
    assert found["camelyon-jpeg"]["reader"] == "openslide"
