"""Many slides in a process that may open few more files, at a flat number of descriptors."""

from __future__ import annotations

import resource
import shutil
import sys
from pathlib import Path

import h5py
import pytest

from histocnn.cli import main
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from tests.forked import exit_code, forked

OLD = Path(__file__).parents[1] / "previous" / "0.1.0"
MODEL = OLD / "model" / "model.safetensors"
MORE = 30  # files open


def run(folder: Path, *words: object) -> None:
    """A command in such a process."""

    def with_few_files() -> None:
        most = 1 + max(int(each.name) for each in Path("/proc/self/fd").iterdir()) + MORE
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        sys.exit(main([str(word) for word in words]))

    code = exit_code(forked(with_few_files, folder / "said"))
    assert code == 0, (folder / "said").read_text()[-2000:]


@pytest.fixture(scope="module", params=[40, pytest.param(100, marks=pytest.mark.slow)])
def grids(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grids of four patches of one slide under many names, as hard links."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "slides").mkdir()
    (folder / "grids").mkdir()
    first = folder / "first.tif"
    make_phantom(first, PhantomSpec((1024, 1024), seed=1, tissue_px=(800, 800)))
    run(folder, "tile", "--slides", first, "--out", folder / "one", "--patch_px", 112, "--mpp", 2.0,
        "--min_tissue", 0)  # fmt: skip
    for i in range(request.param):
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


def test_scores_and_sheets_of_many_slides(grids: Path) -> None:
    here = grids.parent
    words = ("--patches", grids, "--model", MODEL, "--threads", 1, "--precision", "fp32")
    run(here, "predict", *words, "--out", here / "scores")
    assert len(list((here / "scores").glob("*.h5"))) == len(list(grids.glob("*.h5")))
    (here / "reference").mkdir()
    for path in grids.glob("*.h5"):  # any numbers serve as features
        shutil.copy(path, here / "reference")
        with h5py.File(here / "reference" / path.name, "a") as file:
            file["features"] = file["coords"][:].astype("float32") + int(path.stem[1:])
    (here / "query").mkdir()
    shutil.copy(here / "reference" / "s20.h5", here / "query")
    words = ("--reference", here / "reference", "--query", here / "query", "--exclude", "none")
    run(here, "knn", *words, "--explain", 2, "--out", here / "knn")
    assert (here / "knn" / "s20_neighbours.png").stat().st_size > 10_000
