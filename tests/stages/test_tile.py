"""`histocnn tile` end to end: on slides whose patches can be counted by hand, and on real ones."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest

from histocnn.cli import main
from histocnn.patches import tiling
from histocnn.patches.patch_set import QUALITY
from histocnn.slides.slide import Slide
from histocnn.stages.tile import tile as from_python
from histocnn.storage import store
from tests.forked import exit_code, running
from tests.memory import PEAK_KIB
from tests.slide_files import write_pyramid, write_sparse_pyramid

TISSUE = (256, 256, 1792, 1280)  # of the slide below: columns 1 to 6, rows 1 to 4 of 256 px
TUMOUR = [[256, 256], [1024, 256], [1024, 1280], [256, 1280], [256, 256]]  # columns 1 to 3


def tissue_image() -> np.ndarray:
    """2048 × 1536 px of glass with a textured pink rectangle."""
    rng = np.random.default_rng(0)
    image = np.full((1536, 2048, 3), 245, np.uint8)
    left, top, right, bottom = TISSUE
    texture = rng.integers(-20, 20, ((bottom - top) // 8, (right - left) // 8, 1))
    pink = np.array([200, 120, 170]) + np.kron(texture, np.ones((8, 8, 1), int))
    image[top:bottom, left:right] = pink
    return image


def geojson(path: Path, ring: list[Any], name: str = "tumour") -> Path:
    geometry = {"type": "Polygon", "coordinates": [ring]}
    properties = {"objectType": "annotation", "classification": {"name": name}}
    feature = {"type": "Feature", "geometry": geometry, "properties": properties}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with slide a, its annotation, and slides.csv."""
    here = tmp_path_factory.mktemp("cohort")
    write_pyramid(here / "a.tiff", tissue_image(), mpp=0.5)
    geojson(here / "a.geojson", TUMOUR)
    (here / "slides.csv").write_text(
        "slide_id,slide_path,patient_id,annotation_path,background\na,a.tiff,p1,a.geojson,rest\n"
    )
    return here


def tile(*words: object) -> int:
    return main(["tile", *map(str, words), *("--patch_px", "256")])


def test_a_grid_counted_by_hand(folder: Path, tmp_path: Path) -> None:
    assert tile("--slides", folder / "slides.csv", "--out", tmp_path) == 0
    grid, about = store.read(tmp_path / "a.h5"), store.attributes(tmp_path / "a.h5")
    assert len(grid["coords"]) == 6 * 4
    np.testing.assert_array_equal(grid["coords"][0], [256, 256])
    np.testing.assert_array_equal(grid["coords"][-1], [1536, 1024])
    np.testing.assert_array_equal(grid["cell"][-1], [4, 6])
    assert about["labels.class_names"] == ["rest", "tumour"]
    columns = grid["cell"][:, 1]
    np.testing.assert_array_equal(grid["labels"], columns <= 3)
    np.testing.assert_array_equal(grid["coverage"][:, 1], columns <= 3)
    assert about["slide_id"] == "a"
    assert about["patient_id"] == "p1"
    assert tuple(about["slide_mpp"]) == pytest.approx((0.5, 0.5))
    areas = about["annotation_areas"]["tumour"]
    assert areas["annotated_um2"] == pytest.approx(768 * 1024 / 4)
    assert areas["in_patches_um2"] == pytest.approx(768 * 1024 / 4)


def test_from_python_the_grids_and_failures_are_an_object(folder: Path, tmp_path: Path) -> None:
    sheet = f"slide_id,slide_path\na,{folder}/a.tiff\nb,{folder}/a.geojson\n"
    (tmp_path / "slides.csv").write_text(sheet)
    result = from_python(str(tmp_path / "slides.csv"), str(tmp_path / "out"), patch_px=256)
    assert result.exit_code == 1
    assert result.outputs == [tmp_path / "out" / "a.h5"]
    assert "a.geojson: cannot be opened as a slide" in result.failures["b"]
    table = result.to_dataframe().set_index("slide_id")
    assert table.patches["a"] == 24
    assert table.status.to_dict() == {"a": "done", "b": "failed"}


def test_other_tools_find_their_attributes(folder: Path, tmp_path: Path) -> None:
    tile("--slides", folder / "slides.csv", "--out", tmp_path, "--mpp", "1.0")
    with h5py.File(tmp_path / "a.h5") as file:
        coords = file["coords"].attrs
        assert coords["patch_size"] == 256
        assert coords["patch_level"] == 0
        assert coords["patch_size_level0"] == 512
        assert coords["target_magnification"] == 10
        assert coords["level0_width"] == 2048


def test_the_picture_and_the_tissue_lie_beside_the_grid(folder: Path, tmp_path: Path) -> None:
    tile("--slides", folder / "slides.csv", "--out", tmp_path)
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture.shape[1] > 900
    visible = {p.name for p in tmp_path.iterdir() if not p.name.startswith(".")}
    assert visible == {"a.h5", "a.png", "a.tissue.geojson", "failures.csv", "run.json"}


def test_quality_is_stored_and_drawn_when_asked(folder: Path, tmp_path: Path) -> None:
    words = ("--slides", folder / "slides.csv", "--out", tmp_path, "--quality", "true")
    tile(*words, "--min_sharpness", 9)
    with h5py.File(tmp_path / "a.h5") as file:
        shapes = {file[name].shape for name in (*QUALITY, "labels")}
        assert len(shapes) == 1
        assert np.isfinite(file["pen_fraction"][:]).all()
    assert (tmp_path / "a.png").exists()


def test_done_is_skipped_and_a_changed_option_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--slides", folder / "slides.csv", "--out", tmp_path)
    tile(*words)
    first = (tmp_path / "a.h5").stat().st_mtime_ns
    capsys.readouterr()
    tile(*words, "--workers", 2, "--threads", 1)
    assert (tmp_path / "a.h5").stat().st_mtime_ns == first
    tile(*words, "--overlap_px", 128)
    shown = "".join(capsys.readouterr())
    assert "overlap_px" in shown
    assert (tmp_path / "a.h5").stat().st_mtime_ns > first


def test_exported_patches_are_the_slides_pixels(folder: Path, tmp_path: Path) -> None:
    tile("--slides", folder / "slides.csv", "--out", tmp_path, "--export", "png")
    files = sorted((tmp_path / "a").glob("*/*.png"))
    assert Counter(p.parent.name for p in files) == {"rest": 12, "tumour": 12}
    slide = Slide(folder / "a.tiff")
    for path in files[::5]:
        x, y = (int(part[1:]) for part in path.stem.split("_")[-2:])
        image = cv2.imread(str(path))[..., ::-1]
        np.testing.assert_array_equal(image, slide.read((x, y), 256, 0.5))


def test_roi_keeps_the_patches_of_one_class(folder: Path, tmp_path: Path) -> None:
    tile("--slides", folder / "slides.csv", "--out", tmp_path, "--roi", "tumour")
    assert set(store.read(tmp_path / "a.h5")["cell"][:, 1]) == {1, 2, 3}


def test_an_unknown_roi_names_what_there_is(folder: Path, tmp_path: Path) -> None:
    assert tile("--slides", folder / "slides.csv", "--out", tmp_path, "--roi", "tumor") == 1
    assert "found: tumour" in (tmp_path / "failures.csv").read_text()


def test_edited_tissue_replaces_detection(folder: Path, tmp_path: Path) -> None:
    geojson(tmp_path / "edited.geojson", TUMOUR, "Tissue")
    (tmp_path / "slides.csv").write_text(
        f"slide_id,slide_path,tissue_path\na,{folder / 'a.tiff'},edited.geojson\n"
    )
    tile("--slides", tmp_path / "slides.csv", "--out", tmp_path / "out")
    assert set(store.read(tmp_path / "out" / "a.h5")["cell"][:, 1]) == {1, 2, 3}


def test_an_empty_slide_is_a_named_outcome(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pyramid(tmp_path / "glass.tiff", np.full((600, 800, 3), 244, np.uint8), mpp=0.5)
    assert tile("--slides", tmp_path / "glass.tiff", "--out", tmp_path / "out") == 0
    assert len(store.read(tmp_path / "out" / "glass.h5")["coords"]) == 0
    assert "no tissue" in "".join(capsys.readouterr())
    assert "no tissue" in (tmp_path / "out" / "run.json").read_text()


def test_one_broken_slide_does_not_stop_the_others(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "b.tiff").write_bytes(b"II*\0 no slide")
    (tmp_path / "slides.csv").write_text(f"slide_id,slide_path\nb,b.tiff\na,{folder / 'a.tiff'}\n")
    assert tile("--slides", tmp_path / "slides.csv", "--out", tmp_path / "out") == 1
    failures = list(csv.DictReader((tmp_path / "out" / "failures.csv").read_text().splitlines()))
    assert [row["slide_id"] for row in failures] == ["b"]
    assert (tmp_path / "out" / "a.h5").exists()
    assert not (tmp_path / "out" / "b.h5").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--overlap_px", "256"), 2, "--overlap_px 256"),
        (("--min_tissue", "1.2"), 2, "--min_tissue 1.2"),
        (("--label_coverage", "-1"), 2, "--label_coverage -1"),
        (("--mpp", "0"), 2, "--mpp 0"),
        (("--slide_mpp", "0"), 2, "--slide_mpp 0"),
        (("--mpp", "4.5"), 1, "more than the slide's"),
        (("--mpp", "0.2"), 1, "coarser than the asked 0.2"),
    ],
)
def test_bad_options_are_one_line(
    folder: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tile("--slides", folder / "slides.csv", "--out", tmp_path, *words) == code
    shown = "".join(capsys.readouterr())
    assert said in shown
    assert "Traceback" not in shown
    assert not list(tmp_path.glob("*.h5"))


def test_annotation_in_another_frame_is_that_slides_failure(folder: Path, tmp_path: Path) -> None:
    far = [[x + 50_000, y] for x, y in TUMOUR]
    geojson(tmp_path / "far.geojson", far)
    (tmp_path / "slides.csv").write_text(
        f"slide_id,slide_path,annotation_path\na,{folder / 'a.tiff'},far.geojson\n"
    )
    assert tile("--slides", tmp_path / "slides.csv", "--out", tmp_path / "out") == 1
    failure = (tmp_path / "out" / "failures.csv").read_text()
    assert "far.geojson" in failure
    assert not list((tmp_path / "out").glob("a.*h5"))


def test_a_folder_that_cannot_be_written_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert tile("--slides", folder / "a.tiff", "--out", tmp_path / "file" / "out") == 1
    assert "Traceback" not in capsys.readouterr().err


SLIDES = 7


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("slides")
    write_pyramid(here / "s0.tiff", tissue_image()[:1024, :1024], mpp=0.5)
    for i in range(1, SLIDES):
        os.link(here / "s0.tiff", here / f"s{i}.tiff")
    return here


def contents(folder: Path) -> dict[str, Any]:
    return {
        path.stem: {name: np.asarray(data).tolist() for name, data in store.read(path).items()}
        for path in sorted(folder.glob("*.h5"))
    }


def test_killed_and_started_again_equals_undisturbed(slides: Path, tmp_path: Path) -> None:
    words = ["tile", "--slides", str(slides), "--patch_px", "256"]
    cut = tmp_path / "cut"
    run = running(*words, "--out", cut)
    while not len(list(cut.glob("*.h5"))) >= 3:
        assert run.is_alive()
        time.sleep(0.01)
    run.kill()
    run.join()
    whole = {path: path.stat().st_mtime_ns for path in cut.glob("*.h5")}
    assert 3 <= len(whole) < SLIDES
    contents(cut)  # every file opens

    assert main([*words, "--out", str(cut)]) == 0
    assert {path: path.stat().st_mtime_ns for path in whole} == whole
    assert main([*words, "--out", str(tmp_path / "calm")]) == 0
    assert contents(cut) == contents(tmp_path / "calm")
    assert {p.name for p in cut.iterdir()} == {p.name for p in (tmp_path / "calm").iterdir()}


def test_two_processes_on_one_folder_do_no_harm(slides: Path, tmp_path: Path) -> None:
    words = ["tile", "--slides", slides, "--patch_px", 256, "--out", tmp_path]
    runs = [running(*words) for _ in range(2)]
    assert [exit_code(run) for run in runs] == [0, 0]
    assert len(contents(tmp_path)) == SLIDES
    assert not list(tmp_path.glob("**/*.tmp*"))


@pytest.mark.parametrize(
    ("side_px", "most_kib"),  # a quarter of level 0 would take 470 and 1,900 MB
    [(50_000, 450_000), pytest.param(100_000, 1_000_000, marks=pytest.mark.slow)],
)
def test_a_huge_sparse_slide_is_tiled_in_little_memory(
    tmp_path: Path, side_px: int, most_kib: int
) -> None:
    patch = tissue_image()[512:768, 512:768]

    def tile_at(level: int, col: int, row: int) -> np.ndarray | None:
        scale = 4**level
        return patch if 100 <= col * scale < 140 and 120 <= row * scale < 160 else None

    size = (side_px, side_px)
    write_sparse_pyramid(tmp_path / "huge.tiff", size, tile_at=tile_at, downsamples=(1, 4, 16, 64))
    code = (
        "import sys\nfrom histocnn.cli import main\n"
        f"code = main(['tile', '--slides', {str(tmp_path / 'huge.tiff')!r}, '--out',"
        f" {str(tmp_path / 'out')!r}])\n"
        f"print({PEAK_KIB})\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < most_kib, "resident"
    assert len(store.read(tmp_path / "out" / "huge.h5")["coords"]) > 0


# Real slides


def test_cmu_at_two_resolutions(shared: Path, tmp_path: Path) -> None:
    slide = shared / "data/slides/CMU-1-Small-Region.svs"
    for mpp in ("0.5", "1.0"):
        assert (
            main(["tile", *("--slides", str(slide), "--out", str(tmp_path / mpp), "--mpp", mpp)])
            == 0
        )
    fine, coarse = (
        store.read(tmp_path / mpp / f"{slide.stem}.h5")["tissue_fraction"] for mpp in ("0.5", "1.0")
    )
    assert len(fine) > 50
    assert fine.sum() / 4 == pytest.approx(coarse.sum(), rel=0.25)


def test_a_slide_without_resolution_is_refused_with_the_remedy(
    shared: Path, tmp_path: Path
) -> None:
    slide = shared / "data/slides/TCGA-CR-7395-no-mpp-jp2k.svs"
    assert main(["tile", "--slides", str(slide), "--out", str(tmp_path)]) == 1
    assert "--slide_mpp" in (tmp_path / "failures.csv").read_text()
    words = ["tile", "--slides", str(slide), "--out", str(tmp_path), "--slide_mpp", "0.5"]
    assert main(words) == 0
    assert len(store.read(tmp_path / f"{slide.stem}.h5")["coords"]) > 50
    assert "no-mpp" not in (tmp_path / "failures.csv").read_text()


def test_crc01_by_geojson_and_by_xml(shared: Path, tmp_path: Path) -> None:
    files = []
    for side, kind in [("west", "geojson"), ("west", "xml"), ("middle", "geojson")]:
        sheet = tmp_path / f"{kind}.csv"
        sheet.write_text(
            "slide_id,slide_path,patient_id,annotation_path\n"
            f"{side},{shared}/data/slides/CRC01-{side}.tiff,p,"
            f"{shared}/data/annotations/CRC01-{side}.{kind}\n"
        )
        out = tmp_path / kind
        assert main(["tile", "--slides", str(sheet), "--out", str(out), "--mpp", "1.3"]) == 0
        files.append(out / f"{side}.h5")
    for path in files:
        about = store.attributes(path)
        annotated = sum(a["annotated_um2"] for a in about["annotation_areas"].values())
        inside = sum(a["in_tissue_um2"] for a in about["annotation_areas"].values())
        assert inside / annotated >= 0.98
    by_geojson, by_xml = (store.read(path) for path in files[:2])
    classes = [store.attributes(path)["labels.class_names"] for path in files[:2]]
    assert classes[0] == classes[1]
    # XML has no holes: coverage can only be larger there, and labels differ only where it is.
    assert (by_xml["coverage"] >= by_geojson["coverage"] - 1e-5).all()
    differ = by_xml["labels"] != by_geojson["labels"]
    grown = (by_xml["coverage"] > by_geojson["coverage"] + 1e-5).any(axis=1)
    assert (differ <= grown).all()
    assert (by_geojson["labels"] == classes[0].index("Tumor")).sum() > 100


def test_broken_slides_are_named_and_the_rest_completes(shared: Path, tmp_path: Path) -> None:
    words = ["--slides", str(shared / "data/slides"), "--out", str(tmp_path), "--mpp", "30"]
    assert main(["tile", *words, "--patch_px", "16", "--min_tissue", "0.1"]) == 1
    failed = {
        row["slide_id"]
        for row in csv.DictReader((tmp_path / "failures.csv").read_text().splitlines())
    }
    assert failed >= {"broken", "unopenable", "unreadable", "boxes", "TCGA-CR-7395-no-mpp-jp2k"}
    done = {path.stem for path in tmp_path.glob("*.h5")}
    assert done == {
        "CMU-1-Small-Region",
        "CRC01-middle",
        "CRC01-west",
        "TCGA-XK-AAJU-prostate-pen-marks",
        "camelyon-jpeg",
    }


def test_a_slide_that_is_cut_short_while_it_is_tiled_fails_and_is_tiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slides").mkdir()
    slide = write_pyramid(tmp_path / "slides" / "a.tiff", tissue_image(), mpp=0.5)
    whole, find = slide.read_bytes(), tiling.detect_tissue

    def cut(*arguments: Any) -> Any:
        found = find(*arguments)
        os.truncate(slide, len(whole) // 2)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(tiling, "detect_tissue", cut)
        result = from_python(slide.parent, tmp_path / "grids", patch_px=128)
    assert "a.tiff: was changed while it was read" in result.failures["a"]
    assert not (tmp_path / "grids" / "a.h5").exists()
    slide.write_bytes(whole)
    assert from_python(slide.parent, tmp_path / "grids", patch_px=128).exit_code == 0
