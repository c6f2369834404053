"""What the workflow costs per slide: many small phantom slides, some of them broken.

python benchmarks/workflow.py --out FOLDER [--slides 100 --broken 3]

Runs the target `cnn` with a ready model on two cores, twice, and compares with the same jobs
without Snakemake (on a few slides) and with each stage once over all slides.
"""

from __future__ import annotations

import argparse
import csv
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from histocnn.models import spec
from histocnn.models.backbones import build
from histocnn.phantom.cohort import make_cohort

RUN = Path(__file__).resolve().parents[1] / "workflows/run"
BY_HAND = 10  # slides; jobs are alike


class Cost(NamedTuple):
    """Wall and CPU seconds; other work on the machine changes the first, hardly the second."""

    wall: float
    cpu: float

    def per(self, slides: int) -> Cost:
        """The part of one slide."""
        return Cost(self.wall / slides, self.cpu / slides)


def main() -> None:
    """Make slides and model, and time the workflow and its jobs by hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--slides", type=int, default=100)
    parser.add_argument("--broken", type=int, default=3)
    given = parser.parse_args()
    out, good = given.out.resolve(), given.slides - given.broken
    sheet, model = cohort(out / "data", given.slides, given.broken), untrained(out)
    settings = [f"slides={sheet}", f"out={out / 'wf'}", f"model={model}", "patch_px=64"]
    workflow = [str(RUN), "local", "cnn", "--cores", "2", "--config", *settings]
    with timing() as whole:
        said = run(workflow, out)
    print(said[said.rindex(f"{given.broken} of {given.slides} slides") :])
    with timing() as again:
        run(workflow, out)
    with (out / "wf/slides.csv").open(newline="", encoding="utf-8") as file:
        usable = [row["slide_id"] for row in csv.DictReader(file)]
    made = sum((out / f"wf/cnn/heatmaps/{name}.png").exists() for name in usable)
    with timing() as hand, ThreadPoolExecutor(2) as pool:
        rows = (out / f"wf/rows/{name}.csv" for name in usable[:BY_HAND])
        list(pool.map(lambda row: jobs(row, out / "hand" / row.stem, model), rows))
    with timing() as stages:
        jobs(out / "wf/slides.csv", out / "stages", model, "--workers", "2")
    print(f"{given.slides} slides, {given.broken} broken, {made} complete; seconds per slide:")
    show("workflow", whole[0].per(good))
    show("its jobs by hand", hand[0].per(min(BY_HAND, good)))
    show("each stage once", stages[0].per(good))
    show("workflow, again, in all", again[0])


def show(what: str, cost: Cost) -> None:
    """Print a line."""
    print(f"{what:<24} wall {cost.wall:6.2f}  cpu {cost.cpu:6.2f}")


@contextmanager
def timing() -> Iterator[list[Cost]]:
    """Fill a list with what the block costs, in this process's children."""
    found: list[Cost] = []
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    yield found
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found.append(Cost(time.perf_counter() - start, cpu))


def cohort(folder: Path, slides: int, broken: int) -> Path:
    """Small slides, the last of which are no slides."""
    sheet = make_cohort(folder, slides=slides, patients=slides, labs=2, size_px=(1024, 1024))
    with sheet.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows[slides - broken :]:
        (folder / row["slide_path"]).write_bytes(b"II*\0 and nothing more")
    return sheet


def untrained(folder: Path) -> Path:
    """A model that costs little, so that what is left is the workflow."""
    path = folder / "model.safetensors"
    network = build("lenet5", 2)
    made = spec.ModelSpec(
        "lenet5", class_names=("normal", "tumour"), patch_px=64, mpp=0.5, input_px=28
    )
    spec.save(path, network, made)
    return path


def jobs(sheet: Path, out: Path, model: Path, *more: str) -> None:
    """A slide's jobs (or all slides'), one stage after the other."""
    out.mkdir(parents=True, exist_ok=True)
    scale = ["--patch_px", "64"]
    run(["histocnn", "doctor", "--slides", str(sheet), *scale], out)
    run(["histocnn", "tile", "--slides", str(sheet), *scale, "--out", "grids", *more], out)
    scored = ["--model", str(model), "--out", "scores", *more]
    run(["histocnn", "predict", "--patches", "grids", *scored], out)
    run(["histocnn", "heatmap", "--scores", "scores", "--out", "heatmaps", *more], out)


def run(words: Sequence[str], folder: Path) -> str:
    """Run a command that must succeed; give what it said."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    main()
