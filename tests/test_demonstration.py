"""`histocnn demo`: every stage in order, on slides that it makes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_image

from histocnn.demonstration import AUGMENT, _closing
from histocnn.jobs.steps import Steps
from histocnn.metrics.patch import patch_report
from histocnn.metrics.report import Report
from histocnn.metrics.sections import ColourReport
from histocnn.models.augment import Pipeline
from histocnn.models.spec import read_spec
from histocnn.stages.evaluate import evaluate
from histocnn.stages.fool import fool
from histocnn.stages.predict import predict
from histocnn.storage import store


def test_the_last_words_are_the_three_figures_and_where_to_look(tmp_path: Path) -> None:
    truth, names = [0, 0, 1, 1], ("normal", "tumour")
    right = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    half = right[[0, 2, 1, 3]]  # one of two tumour patches is scored below one of two normal ones
    patch = patch_report(right, truth, names)
    report = Report(
        title="scores",
        class_names=names,
        patch=patch,
        colour_training="the score files hold no colours of the patches",
    )
    said = _closing(report, 0.75, Steps(), tmp_path)
    lines = {
        line.rpartition("  ")[0].strip(): line.split()[-1] for line in said.splitlines() if line
    }
    assert lines["CNN adapted to it, on windows at its own stride"] == "1.000"
    assert lines["k-NN on its features, patch by patch"] == "0.750"
    assert "colour alone" not in said
    alone = ColourReport(**vars(patch_report(half[::-1], truth, names)))
    said = _closing(
        replace(report, colour_training=alone, colour_within=alone), None, Steps(), tmp_path
    )
    assert "k-NN" not in said
    for which in ("by the patients of training", "by the other patients of this laboratory"):
        assert re.search(f"colour alone, {which} +0.250\n", said)
    assert str(tmp_path / "report" / "report.html") in said
    assert str(tmp_path / "index.html") in said


def test_patches_keep_their_size_and_are_blurred_now_and_then() -> None:
    steps = [{"class_path": path, "init_args": arguments} for path, arguments in AUGMENT]
    pipeline = Pipeline(steps)
    sharp = np.random.default_rng(0).integers(60, 200, (64, 64, 3)).astype(np.uint8)
    changed = [pipeline(sharp, seed) for seed in range(40)]
    assert {each.shape for each in changed} == {(64, 64, 3)}
    rough = np.array([np.abs(np.diff(each.astype(float), axis=1)).mean() for each in changed])
    assert 4 <= (rough < rough.max() / 2).sum() <= 30


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_ends_with_a_network_that_beats_colour(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "histocnn.cli", "demo", "--out", str(tmp_path)]
    subprocess.run(words, check=True)  # a process of its own, as people start it
    assert 'href="cnn/heatmaps/phantom_05.html"' in (tmp_path / "index.html").read_text()
    report = json.loads((tmp_path / "report" / "metrics.json").read_text())
    cnn = report["patch"]["figures"]["macro_auroc"]["value"]
    assert cnn >= 0.95
    assert cnn > report["colour_training"]["figures"]["macro_auroc"]["value"] + 0.1
    said = store.attributes(tmp_path / "cnn" / "scores" / "phantom_05.h5")
    assert (said["scoring"], said["stride_px"]) == ("dense", 32)
    dense = read_spec(tmp_path / "model" / "model.safetensors").dense
    assert (said["temperature"], said["thresholds"]) == (dense["temperature"], dense["thresholds"])

    model, grids = tmp_path / "model", tmp_path / "grids"
    predict(grids, model / "model.safetensors", tmp_path / "patches" / "scores")
    slides = tmp_path / "cohort" / "slides.csv"
    evaluate(tmp_path / "patches" / "scores", tmp_path / "patches" / "report", slides=slides,
             split="test")  # fmt: skip
    report = json.loads((tmp_path / "patches" / "report" / "metrics.json").read_text())
    trained = json.loads((model / "metrics.json").read_text())
    for name in ("colour_training", "colour_within"):  # the same number wherever it is printed
        assert report[name]["figures"] == trained[name]["figures"]

    no_tissue(tmp_path / "things")
    few = {"most": 64, "made_up": 32, "epsilons": (8,), "threads": 1, "device": "cpu"}
    result = fool(model / "model.safetensors", grids, tmp_path / "fooled",
                  things=tmp_path / "things", **few)  # fmt: skip
    rows = {row["name"]: row for row in result.rows}
    for name in ("uniform noise", "Gaussian noise", "things that are not tissue"):
        assert rows[name]["auroc_distance"] >= 0.95, name
    assert all(row["sure"] == 1 for name, row in rows.items() if name.startswith("ascent"))
    assert rows["PGD, ε = 8"]["accuracy"] < 0.2 < rows["tissue as it is"]["accuracy"]


def no_tissue(folder: Path) -> None:
    """Cuttings of the two photographs that scikit-learn brings along, and grey digits."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("china.jpg", "flower.jpg"):
        photograph = load_sample_image(name)
        for i in range(16):
            side = rng.integers(112, 240)
            y, x = rng.integers(0, np.array(photograph.shape[:2]) - side)
            cut = photograph[y : y + side, x : x + side, ::-1]
            cv2.imwrite(str(folder / f"{name}_{i}.png"), cut)
    for i, digit in enumerate(load_digits().images[:14]):
        cv2.imwrite(str(folder / f"digit_{i}.png"), digit * 15)
