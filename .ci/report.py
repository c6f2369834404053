"""Tile, evaluate and lay heatmaps with the histocnn that is installed: a report, or an error.

Run beside `venv/`, outside the checkout. The score files are made by hand as docs/formats.md says.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

import histocnn
from histocnn.phantom.cohort import make_cohort

SCRIPTS = Path(sys.prefix) / "bin"


def run(*words: str) -> None:
    """One command of the installed package."""
    subprocess.run([SCRIPTS / "histocnn", *words], check=True)  # noqa: S603 - our own words


if not Path(histocnn.__file__).is_relative_to(sys.prefix):
    sys.exit(f"{histocnn.__file__}: is not what was installed in {sys.prefix}")

make_cohort(Path("cohort"), slides=4, patients=2, labs=1, size_px=(1024, 1024))
run("tile", "--slides", "cohort/slides.csv", "--out", "grids")
Path("scores").mkdir()
for number, grid in enumerate(sorted(Path("grids").glob("*.h5"))):
    shutil.copy(grid, "scores")
    with h5py.File(Path("scores") / grid.name, "r+") as scored:
        sure = np.random.default_rng(number).dirichlet((1, 1), len(scored["coords"]))
        scored["scores"] = sure.astype(np.float32)
        scored["scores"].attrs["class_names"] = ["normal", "tumour"]
run("heatmap", "--scores", "scores", "--out", "heatmaps", "--html")
run("evaluate", "--scores", "scores", "--slides", "cohort/slides.csv", "--out", "report",
    "--heatmaps", "heatmaps", "--replicates", "50")  # fmt: skip
page = Path("report/report.html").read_text()
if "AUROC" not in page:
    sys.exit("report/report.html: has no figures")
print(f"histocnn {histocnn.__version__}, installed alone: a report of {len(page):,} characters")
