"""Features as TRIDENT writes them: the slide is the one the file names, through every stage."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from histocnn.cli import main
from histocnn.scores.scorefile import open_score_file
from tests.feature_files import write_features
from tests.models.patch_files import write_folder
from tests.slide_files import position_image, write_pyramid
from tests.stages.judged_cohort import write_geojson

pytestmark = pytest.mark.usefixtures("without_pictures")
SIDE_L0 = 112  # 56 px at "20x" of a slide at "40x"
SIZE_L0 = (5 * SIDE_L0, 4 * SIDE_L0)


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """slides.csv: case7 with a tumour in its left two columns, in a folder of its own."""
    (tmp_path / "slides").mkdir()
    write_pyramid(tmp_path / "slides" / "case7.tiff", position_image(*SIZE_L0), mpp=0.25)
    squares = [(0.0, float(y * 2 * SIDE_L0), 2.0 * SIDE_L0) for y in range(2)]
    write_geojson(tmp_path / "case7.geojson", squares, "b")
    with (tmp_path / "slides.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ("slide_id", "slide_path", "patient_id", "annotation_path", "background"),
                ("case7", "slides/case7.tiff", "P7", "case7.geojson", "a"),
            ]
        )
    return tmp_path / "slides.csv"


def write_trident(path: Path, offset_l0: int = 0) -> Path:
    """`case7_patches.h5` as trident/IO.py lays it out; tumour features in the left columns."""
    path.parent.mkdir(parents=True)
    x, y = np.meshgrid(np.arange(5), np.arange(4))
    coords = np.stack([x.ravel(), y.ravel()], axis=1) * SIDE_L0
    features = np.random.default_rng(0).normal(size=(1, 20, 8)).astype(np.float32)
    features[0, :, 0] += 6 * (coords[:, 0] < 2 * SIDE_L0) - 2
    with h5py.File(path, "w") as file:
        file["features"] = features
        file["coords"] = coords[None] + offset_l0
        file["coords"].attrs.update(
            {
                "patch_size": SIDE_L0 // 2,
                "patch_size_level0": SIDE_L0,
                "level0_magnification": 40,
                "target_magnification": 20,
                "overlap": 0,
                "level0_width": SIZE_L0[0],
                "level0_height": SIZE_L0[1],
                "name": "case7",
            }
        )
    return path


def histocnn(stage: str, **options: object) -> int:
    return main([stage, *(word for k, v in options.items() for word in (f"--{k}", str(v)))])


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """Labelled images of the classes a and b, of the patches' size."""
    folder = write_folder(tmp_path / "images", patients=5, side_px=SIDE_L0 // 2)
    write_features(tmp_path / "ref" / "images.h5", like=folder, mpp=0.5)
    return tmp_path / "ref"


def scored(tmp_path: Path, cohort: Path, reference: Path, offset_l0: int = 0) -> Path:
    """The scores that knn gives the file, explained with pictures from the slide."""
    write_trident(tmp_path / "q" / "case7_patches.h5", offset_l0)
    options = {"reference": reference, "query": tmp_path / "q", "slides": cohort}
    assert histocnn("knn", **options, out=tmp_path / "scores", k=3, explain=1) == 0
    return tmp_path / "scores"


def test_knn_heatmap_and_evaluate_find_the_slide_and_name_their_files_by_it(
    cohort: Path, reference: Path, tmp_path: Path
) -> None:
    scores = scored(tmp_path, cohort, reference)
    assert [path.name for path in scores.glob("*.h5")] == ["case7.h5"]
    assert (scores / "case7_neighbours.png").stat().st_size > 10_000
    assert open_score_file(scores / "case7.h5").slide_id == "case7"
    assert histocnn("heatmap", scores=scores, slides=cohort, out=tmp_path / "maps") == 0
    pictures = {path.name for path in (tmp_path / "maps").glob("*.png")}
    assert pictures >= {"case7.png", "case7_a.png", "case7_b.png"}
    options = {"slides": cohort, "heatmaps": tmp_path / "maps", "replicates": 10}
    assert histocnn("evaluate", scores=scores, out=tmp_path / "report", **options) == 0
    found = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert found["patch"]["n"] == 20  # 8 of them tumour by the annotation
    assert [row["slide_id"] for row in found["slides"]] == ["case7"]


def test_a_score_file_of_another_name_is_drawn_under_its_slide_s(
    cohort: Path, reference: Path, tmp_path: Path
) -> None:
    scores = scored(tmp_path, cohort, reference)
    (scores / "case7.h5").rename(scores / "case7_patches.h5")
    assert histocnn("heatmap", scores=scores, slides=cohort, out=tmp_path / "maps") == 0
    assert (tmp_path / "maps" / "case7.png").exists()
    assert histocnn("export", scores=scores, out=tmp_path / "csv", to="csv") == 0
    assert (tmp_path / "csv" / "case7.csv").exists()


def test_what_needs_a_grid_refuses_coordinates_off_it_with_one_message(
    cohort: Path, reference: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scores = scored(tmp_path, cohort, reference, offset_l0=30)
    capfd.readouterr()
    said = "patches lie up to 30 level-0 pixels off a grid that starts at (0, 0)"
    assert histocnn("heatmap", scores=scores, slides=cohort, out=tmp_path / "maps") == 1
    assert said in capfd.readouterr().err
    options = {"slides": cohort, "out": tmp_path / "report", "replicates": 10}
    assert histocnn("evaluate", scores=scores, **options) == 0  # figures of patches need no grid
    assert said in capfd.readouterr().out
    assert histocnn("evaluate", scores=scores, target="b", **options) == 1
    assert said in capfd.readouterr().err
