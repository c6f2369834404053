"""`histocnn demo`: every stage in order, on slides that it makes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from histocnn.demonstration import _closing
from histocnn.jobs.steps import Steps
from histocnn.metrics.patch import Groups, comparison, patch_report
from histocnn.metrics.report import Report
from histocnn.metrics.sections import ColourReport


def test_the_last_words_are_the_three_figures_and_where_to_look(tmp_path: Path) -> None:
    truth, names = [0, 0, 1, 1], ("normal", "tumour")
    right = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    half = right[[0, 2, 1, 3]]  # one of two tumour patches is scored below one of two normal ones
    patch = patch_report(right, truth, names)
    groups = Groups(np.arange(4), replicates=10)
    report = Report(
        title="scores",
        class_names=names,
        patch=patch,
        comparison=comparison((right, half), truth, names, groups, ("cnn", "knn")),
        colour_training="the score files hold no colours of the patches",
    )
    said = _closing(report, Steps(), tmp_path)
    lines = {
        line.rpartition("  ")[0].strip(): line.split()[-1] for line in said.splitlines() if line
    }
    assert (lines["CNN"], lines["k-NN"]) == ("1.000", "0.750")
    assert "colour alone" not in said
    alone = ColourReport(**vars(patch_report(half[::-1], truth, names)))
    said = _closing(replace(report, colour_training=alone, colour_within=alone), Steps(), tmp_path)
    for which in ("by the patients of training", "by the other patients of this laboratory"):
        assert re.search(f"colour alone, {which} +0.250\n", said)
    assert str(tmp_path / "report" / "report.html") in said


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_ends_with_a_network_that_beats_colour(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "histocnn.cli", "demo", "--out", str(tmp_path)]
    subprocess.run(words, check=True)  # a process of its own, as people start it
    report = json.loads((tmp_path / "report" / "metrics.json").read_text())
    cnn = report["patch"]["figures"]["macro_auroc"]["value"]
    assert cnn >= 0.95
    assert cnn > report["colour_training"]["figures"]["macro_auroc"]["value"] + 0.1
    trained = json.loads((tmp_path / "model" / "metrics.json").read_text())
    for name in ("colour_training", "colour_within"):  # the same number wherever it is printed
        assert report[name]["figures"] == trained[name]["figures"]
