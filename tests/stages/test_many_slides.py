"""A hundred slides in a process that may open 64 files, at a flat number of descriptors."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from histocnn.phantom.cohort import PhantomSpec, make_phantom

OLD = Path(__file__).parents[1] / "previous" / "0.1.0"
MODEL = OLD / "model" / "model.safetensors"
SLIDES = 100

SCRIPT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from histocnn.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run(*words: object) -> str:
    """A command in such a process; returns what it said."""
    command = [sys.executable, "-c", SCRIPT, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


@pytest.fixture(scope="module")
def grids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grids of four patches of one slide under a hundred names, as hard links."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "slides").mkdir()
    (folder / "grids").mkdir()
    first = folder / "first.tif"
    make_phantom(first, PhantomSpec((1024, 1024), seed=1, tissue_px=(800, 800)))
    run("tile", "--slides", first, "--out", folder / "one", "--patch_px", 112, "--mpp", 2.0,
        "--min_tissue", 0)  # fmt: skip
    for i in range(SLIDES):
        slide = folder / "slides" / f"s{i}.tif"
        slide.hardlink_to(first)
        grid = folder / "grids" / f"s{i}.h5"
        shutil.copy(folder / "one" / "first.h5", grid)
        with h5py.File(grid, "a") as file:
            file.attrs["histocnn_slide_id"] = f"s{i}"
            file.attrs["histocnn_slide_path"] = str(slide)
            file["labels"][:] = i % 2
            file["labels"].attrs["class_names"] = ["normal", "tumour"]
    return folder / "grids"


def test_scores_and_sheets_of_a_hundred_slides(grids: Path) -> None:
    here = grids.parent
    run("predict", "--patches", grids, "--model", MODEL, "--out", here / "scores", "--threads", 1,
        "--precision", "fp32")  # fmt: skip
    assert len(list((here / "scores").glob("*.h5"))) == SLIDES
    (here / "reference").mkdir()
    for path in grids.glob("*.h5"):  # any numbers serve as features
        shutil.copy(path, here / "reference")
        with h5py.File(here / "reference" / path.name, "a") as file:
            file["features"] = file["coords"][:].astype("float32") + int(path.stem[1:])
    (here / "query").mkdir()
    shutil.copy(here / "reference" / "s50.h5", here / "query")
    run("knn", "--reference", here / "reference", "--query", here / "query", "--exclude", "none",
        "--explain", 2, "--out", here / "knn")  # fmt: skip
    assert (here / "knn" / "s50_neighbours.png").stat().st_size > 10_000
