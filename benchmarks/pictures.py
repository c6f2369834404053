"""What a slide's pictures and page cost, beside another version of histocnn.

    python benchmarks/pictures.py --out FOLDER [--slide SLIDE] [--old TREE]

Of a phantom (4,096 px) or the given slide: 112 px patches at 1 µm/px with 84 px overlap, scores of
two classes that are smooth over the slide, novelty: four pictures, and the page. Seconds and CPU
seconds of the second run in a process, five processes of each version by turns; TREE is a checkout
of the other.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from histocnn.patches.grid import build_grid
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.regions.tissue import detect_tissue
from histocnn.slides.slide import Slide
from histocnn.storage import store

REPEATS = 5
HERE = Path(__file__).parents[1]
PROGRAM = """
import shutil, sys, time
from pathlib import Path
import histocnn
scores, out, html = sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "html"
for _ in range(2):
    shutil.rmtree(out, ignore_errors=True)
    start = time.process_time(), time.perf_counter()
    assert not histocnn.heatmap(scores, out, html=html).failures
    seconds = time.process_time() - start[0], time.perf_counter() - start[1]
print(*seconds, sum(path.stat().st_size for path in out.glob("*.*")))
"""


def main() -> None:
    """Draw by turns, and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--slide", type=Path)
    parser.add_argument("--old", type=Path)
    given = parser.parse_args()
    scores = scored(given.out, given.slide)
    trees = {"new": HERE, **({"old": given.old} if given.old else {})}
    for what in ("pictures", "html"):
        measured: dict[str, list[tuple[float, float, float]]] = {name: [] for name in trees}
        for _ in range(REPEATS):
            for name, tree in trees.items():
                measured[name].append(drawn(tree, scores, given.out / name, what))
        for name, values in measured.items():
            cpu, wall, size = (statistics.median(each) for each in zip(*values, strict=True))
            print(f"{what:<9}{name:<4}{cpu:6.2f} s of CPU {wall:6.2f} s {size / 1e6:6.1f} MB")
        if given.old:
            pairs = list(zip(measured["old"], measured["new"], strict=True))
            cpu, wall = (statistics.median(old[i] / new[i] for old, new in pairs) for i in (0, 1))
            print(f"{what:<9}{cpu:.2f} × less CPU, {wall:.2f} × sooner", flush=True)


def drawn(tree: Path, scores: Path, out: Path, what: str) -> tuple[float, float, float]:
    """CPU seconds, seconds and bytes of the second run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, scores, out, what],
        env={**os.environ, "PYTHONPATH": str(tree)}, cwd=tree,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    cpu, wall, size = map(float, done.stdout.splitlines()[-1].split())
    return cpu, wall, size


def scored(out: Path, path: Path | None) -> Path:
    """A file of scores over a slide."""
    if path is None:
        path = out / "phantom.tif"
        if not path.is_file():
            out.mkdir(parents=True, exist_ok=True)
            make_phantom(path, PhantomSpec(size_px=(4096, 4096), mpp=0.5))
    slide = Slide(path)
    grid = build_grid(
        slide.size_l0, slide.require_mpp(), patch_px=112, mpp=1.0, overlap_px=84,
        tissue=detect_tissue(slide), min_tissue=0.3,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    row, column = grid.cell.T
    fields = [cv2.GaussianBlur(rng.normal(size=grid.shape), (0, 0), 6) for _ in range(2)]
    tumour, novelty = (field[row, column] / field.std() for field in fields)
    tumour = 1 / (1 + np.exp(-2 * tumour))
    target = out / f"{path.stem}.h5"
    store.write(
        target,
        {
            "coords": grid.coords, "cell": grid.cell, "tissue_fraction": grid.tissue_fraction,
            "scores": np.stack([1 - tumour, tumour], axis=1).astype(np.float32),
            "novelty": (50 + 25 * novelty).clip(0, 100).astype(np.float32),
        },
        {
            **grid.attributes(), "slide_id": path.stem, "slide_path": str(path),
            "fingerprint": slide.fingerprint, "bounds_l0": slide.bounds_l0,
            "scores.class_names": ["normal", "tumour"],
        },
    )  # fmt: skip
    return target


if __name__ == "__main__":
    main()
