"""What the stages that run no network leave alone; one process for all, for they import a lot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.feature_files import write_features
from tests.viewing.conftest import scored_slide

CODE = """
import sys
from histocnn.cli import main

slides, features, out = sys.argv[1:]
scores = slides.replace("slides.csv", "scores")
assert main(["heatmap", "--scores", scores, "--out", out + "/a", "--class_name", "normal"]) == 0
assert not {"torch", "bokeh", "matplotlib", "pandas", "sklearn"} & set(sys.modules)
words = ["--reference", features, "--query", features, "--k", "3", "--explain", "1", "--map"]
assert main(["knn", *words, "true", "--out", out + "/b"]) == 0
assert "torch" not in sys.modules, "knn"
words = ["--scores", scores, "--slides", slides, "--replicates", "20"]
assert main(["evaluate", *words, "--out", out + "/c"]) == 0
assert "torch" not in sys.modules, "evaluate"
import histocnn.stages.mine
assert "torch" not in sys.modules, "mine"
"""


def test_stages_without_a_network_load_no_torch(tmp_path: Path) -> None:
    slides = scored_slide(tmp_path)
    features = write_features(tmp_path / "r" / "a.h5", n=40, patients=("p0", "p1"))
    words = [sys.executable, "-c", CODE, slides, features.parent, tmp_path / "out"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
