"""`histocnn demo`: every stage in order, on slides that it makes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from histocnn.demonstration import _closing
from histocnn.jobs.steps import Steps


def test_the_last_words_are_the_three_figures_and_where_to_look(tmp_path: Path) -> None:
    figures = {
        "patch": {"figures": {"macro_auroc": {"value": 0.98765}}},
        "comparison": {"figures": {"macro_auroc": {"second": 0.9}}},
        "colour_only": {"figures": {"macro_auroc": {"value": 0.7}}},
    }
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "metrics.json").write_text(json.dumps(figures))
    said = _closing(tmp_path, Steps())
    assert "  CNN          0.988\n  k-NN         0.900" in said
    assert "  colour only  0.700\n" in said
    assert str(tmp_path / "report" / "report.html") in said


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_ends_with_a_network_that_beats_colour(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "histocnn.cli", "demo", "--out", str(tmp_path)]
    subprocess.run(words, check=True)  # a process of its own, as people start it
    report = json.loads((tmp_path / "report" / "metrics.json").read_text())
    cnn = report["patch"]["figures"]["macro_auroc"]["value"]
    assert cnn >= 0.95
    assert cnn > report["colour_only"]["figures"]["macro_auroc"]["value"] + 0.1
