from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.cli import main
from histocnn.errors import MetricError, UsageError
from histocnn.slides.slide import Slide
from histocnn.stages.mine import mine
from histocnn.storage import store
from tests.killed import left_by_the_dead
from tests.slide_files import position_image, write_pyramid
from tests.stages.judged_cohort import Cohort, write_cohort


def listed(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return write_cohort(tmp_path_factory.mktemp("c"), patients=4, shift=0.5, seen="train")


def test_the_most_confident_errors_come_first_and_are_errors(training, tmp_path):
    assert mine(training.scores, tmp_path / "hard.csv", sheet=0, per_slide=1000).exit_code == 0
    rows = listed(tmp_path / "hard.csv")
    confidence = [float(row["confidence"]) for row in rows]
    assert confidence == sorted(confidence, reverse=True)
    wrong = 0
    for path in training.scores.glob("*.h5"):
        arrays = store.read(path, "scores", "labels", "coords")
        wrong += int((arrays["scores"].argmax(1) != arrays["labels"]).sum())
    assert len(rows) == wrong > 100
    for row in rows[:20]:
        arrays = store.read(training.scores / f"{row['name']}.h5", "scores", "labels", "coords")
        place = int(row["row"])
        assert ["normal", "tumour"][arrays["labels"][place]] == row["label"] != row["called"]
        assert arrays["coords"][place].tolist() == [int(row["x"]), int(row["y"])]
        assert float(row["confidence"]) == pytest.approx(arrays["scores"][place].max(), abs=1e-4)


def test_what_a_killed_run_left_is_swept(training, tmp_path):
    left_by_the_dead(tmp_path / "hard.csv")
    assert mine(training.scores, tmp_path / "hard.csv", sheet=0).exit_code == 0
    assert [path.name for path in tmp_path.iterdir() if "hard" in path.name] == ["hard.csv"]


def test_errors_are_annotations_of_each_slide(training, tmp_path):
    result = mine(training.scores, tmp_path / "hard.csv", sheet=0, per_slide=3, geojson=True)
    rows = listed(tmp_path / "hard.csv")
    files = sorted((tmp_path / "hard_geojson").iterdir())
    assert result.outputs == [tmp_path / "hard.csv", *files]
    assert [file.stem for file in files] == sorted({row["slide_id"] for row in rows})
    own = [row for row in rows if row["slide_id"] == files[0].stem]
    features = json.loads(files[0].read_text())["features"]
    scores = training.scores / f"{own[0]['name']}.h5"
    side = store.attributes(scores)["patch_px"]  # the cohort's patches are as fine as its slides
    size = store.attributes(scores)["size_l0"]
    mpp = store.attributes(scores)["mpp"] / store.attributes(scores)["slide_mpp"][0]
    for row, feature in zip(own, features, strict=True):
        x, y = int(row["x"]), int(row["y"])
        corners = feature["geometry"]["coordinates"][0]
        right, low = min(x + side * mpp, size[0]), min(y + side * mpp, size[1])
        expected = sorted([(x, y), (x, low), (right, y), (right, low)])
        assert np.array(sorted({tuple(c) for c in corners})) == pytest.approx(
            np.array(expected), abs=1
        )
        said = feature["properties"]
        assert said["classification"]["name"] == f"{row['label']} called {row['called']}"
        assert said["measurements"]["confidence"] == float(row["confidence"])
    mine(training.scores, tmp_path / "hard.csv", sheet=0, most=1, geojson=True)
    assert len(list((tmp_path / "hard_geojson").iterdir())) == 1


def test_a_strangers_folder_of_outlines_stays(training, tmp_path):
    (tmp_path / "hard_geojson").mkdir()
    with pytest.raises(UsageError):
        mine(training.scores, tmp_path / "hard.csv", sheet=0, geojson=True)
    assert mine(training.scores, tmp_path / "hard.csv", sheet=0).exit_code == 0


def test_no_slide_fills_the_list(training, tmp_path):
    mine(training.scores, tmp_path / "hard.csv", sheet=0, per_slide=7)
    slides = [row["slide_id"] for row in listed(tmp_path / "hard.csv")]
    assert {slides.count(slide) for slide in set(slides)} == {7}
    mine(training.scores, tmp_path / "hard.csv", sheet=0, per_slide=7, most=10)
    assert len(listed(tmp_path / "hard.csv")) == 10


def test_hard_negatives_and_a_least_confidence(training, tmp_path):
    mine(training.scores, tmp_path / "hard.csv", sheet=0, truth="normal", min_confidence=0.8)
    rows = listed(tmp_path / "hard.csv")
    assert {(row["label"], row["called"]) for row in rows} == {("normal", "tumour")}
    assert min(float(row["confidence"]) for row in rows) >= 0.8


def test_only_training_slides_are_mined(tmp_path):
    cohort = write_cohort(tmp_path / "c", patients=4, shift=0.5)  # the scores say: not seen
    with pytest.raises(MetricError, match="none of these patches is of a training slide"):
        mine(cohort.scores, tmp_path / "hard.csv")
    # slides.csv puts the first slide into training, the others into test
    mine(cohort.scores, tmp_path / "hard.csv", slides=cohort.slides, sheet=0)
    assert {row["slide_id"] for row in listed(tmp_path / "hard.csv")} == {"slide_00"}


def test_slides_csv_outweighs_what_the_scores_say(tmp_path):
    cohort = write_cohort(tmp_path / "c", patients=4, shift=0.5, seen="train")
    mine(cohort.scores, tmp_path / "hard.csv", slides=cohort.slides, sheet=0)
    assert {row["slide_id"] for row in listed(tmp_path / "hard.csv")} == {"slide_00"}


def test_images_are_listed_by_path_and_patients_by_row(tmp_path):
    (tmp_path / "scores").mkdir()
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]], np.float32)
    store.write(
        tmp_path / "scores" / "images.h5",
        {
            "paths": ["a.png", "b.png", "c.png", "d.png"],
            "patient_ids": ["p1", "p1", "p2", "p2"],
            "slide_ids": ["", "", "", ""],
            "labels": np.array([1, 0, 0, -1]),
            "scores": scores,
            "seen": ["train", "train", "val", "train"],
        },
        {
            "slide_id": "images",
            "labels.class_names": ["0", "1"],
            "scores.class_names": ["0", "1"],
        },
    )
    mine(tmp_path / "scores", tmp_path / "hard.csv", sheet=0)
    assert [(r["path"], r["label"], r["called"]) for r in listed(tmp_path / "hard.csv")] == [
        ("a.png", "1", "0"),
        ("b.png", "0", "1"),
    ]


def test_the_contact_sheet_shows_the_slide_or_says_that_it_is_gone(tmp_path, capsys):
    cohort = write_cohort(tmp_path / "c", patients=2, shift=0.2, seen="train")
    mine(cohort.scores, tmp_path / "hard.csv", sheet=12)
    assert "12 could not be read" in capsys.readouterr().out
    assert not (tmp_path / "hard.png").exists()
    write_pyramid(tmp_path / "slide.tif", position_image(2000, 1500), mpp=1.0)
    for path in cohort.scores.glob("*.h5"):
        changed = {"slide_path": str(tmp_path / "slide.tif"), "slide_mpp": (1.0, 1.0)}
        changed["fingerprint"] = Slide(tmp_path / "slide.tif").fingerprint
        store.write(path, store.read(path), store.attributes(path) | changed)
    mine(cohort.scores, tmp_path / "hard.csv", sheet=12)
    assert "0 could not be read" in capsys.readouterr().out
    height, width, _ = cv2.imread(str(tmp_path / "hard.png")).shape
    assert width > height > 300


def test_unknown_classes_and_limits_are_refused(training, tmp_path):
    with pytest.raises(UsageError, match="There are normal, tumour"):
        mine(training.scores, tmp_path / "hard.csv", truth="Normal")
    with pytest.raises(UsageError, match="at least 1"):
        mine(training.scores, tmp_path / "hard.csv", per_slide=0)


def test_mine_from_the_command_line(training, tmp_path, capsys):
    words = ["mine", "--scores", str(training.scores), "--out", str(tmp_path / "hard.csv")]
    assert main([*words, "--sheet", "0"]) == 0
    assert "hard.csv: 200 of 1,200 training patches" in capsys.readouterr().out


def test_errors_by_another_truth_than_the_grids_are_said(training, tmp_path, capsys):
    """train would take these patches with the labels of their grids."""
    mine(training.scores, tmp_path / "hard.csv", sheet=0, slides=training.slides, per_slide=1000)
    assert "Tile them again" not in capsys.readouterr().out
    other = write_cohort(tmp_path / "c", patients=4, shift=0.5, seen="train",
                         drop=("labels", "coverage"))  # fmt: skip
    mine(other.scores, tmp_path / "hard.csv", sheet=0, slides=other.slides, per_slide=1000)
    said = capsys.readouterr().out
    assert "slide_00, slide_01, slide_02 and 1 more. Tile them again before you train" in said
