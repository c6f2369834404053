"""What each stage costs a slide: CPU seconds and bytes, beside what starting its process costs.

python benchmarks/stages.py --out FOLDER --slides SLIDE [--patch_px 224 --mpp 0.5]

A stage's second run finds all done: that is its start, and what the first took more is the slide's.
Networks have random weights, which cost what trained ones do.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

from histocnn.models import spec
from histocnn.models.backbones import build
from histocnn.storage import store


def main() -> None:
    """Run the stages twice, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--slides", type=Path, required=True)
    parser.add_argument("--patch_px", type=int, default=224)
    parser.add_argument("--mpp", type=float, default=0.5)
    given = parser.parse_args()
    out, scale = given.out, ["--patch_px", str(given.patch_px), "--mpp", str(given.mpp)]
    stage("doctor", ["--slides", given.slides, *scale], None)
    stage("tile", ["--slides", given.slides, *scale], out / "grids")
    for network in ("lenet5", "resnet18"):
        model = untrained(out, network, given.patch_px, given.mpp)
        stage("predict", ["--patches", out / "grids", "--model", model], out / network)
        stage("embed", ["--patches", out / "grids", "--model", model], out / f"{network}-features")
    for words in ([], ["--html"]):
        stage("heatmap", ["--scores", out / "resnet18", *words], out / f"heatmaps{len(words)}")
    patches = sum(store.rows(file) for file in (out / "grids").glob("*.h5"))
    print(f"{len(list((out / 'grids').glob('*.h5')))} slides, {patches} patches")


def stage(name: str, words: list[str | Path], out: Path | None) -> None:
    """Run one, and again, and print what it took and wrote."""
    to = [] if out is None else ["--out", str(out)]
    first, again = (cpu([name, *map(str, words), *to]) for _ in range(2))
    slide = f"slides {first:7.2f} s" if out is None else f"slides {first - again:7.2f} s"
    start = "" if out is None else f", start {again:5.2f} s"
    print(f"{name:<8} {out.name if out else '':<20} {slide}{start}  {written(out)}", flush=True)


def cpu(words: list[str]) -> float:
    """User and system seconds of a command and its threads, whatever else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(["histocnn", *words], capture_output=True, text=True, check=False)
    if done.returncode and words[0] != "doctor":
        sys.exit(f"{' '.join(words)}\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def written(out: Path | None) -> str:
    """The bytes below a folder, by suffix."""
    sizes: Counter[str] = Counter()
    for folder, _, files in os.walk(out or os.devnull):
        for file in files:
            kind = "records" if Path(folder).name == ".runs" else Path(file).suffix
            sizes[kind] += (Path(folder) / file).stat().st_size
    return ", ".join(f"{kind} {size / 1e3:,.0f} kB" for kind, size in sorted(sizes.items()))


def untrained(out: Path, network: str, patch_px: int, mpp: float) -> Path:
    """A model of two classes and no training."""
    path = out / f"{network}.safetensors"
    out.mkdir(parents=True, exist_ok=True)
    made = spec.ModelSpec(
        network, class_names=("normal", "tumour"), patch_px=patch_px, mpp=mpp,
        input_px=28 if network == "lenet5" else patch_px,
    )  # fmt: skip
    spec.save(path, build(network, 2), made)
    return path


if __name__ == "__main__":
    main()
