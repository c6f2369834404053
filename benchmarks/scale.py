"""Does the last slide cost what the first did? One process over many small slides.

python benchmarks/scale.py --out FOLDER [--stages tile …] [--slides 10000] [--minutes M]

For each stage: CPU per slide (of all threads) of the last tenth over the first, after a warm-up;
memory and open descriptors then. For evaluate: CPU per score file of all over that of a tenth.
Pictures cost ten times what the rest of such a small slide does; without --pictures an empty file
stands for each, so that what the tool does per slide is measured, and not what it draws.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import histocnn
from histocnn.jobs import ledger
from histocnn.patches.grid import build_grid
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.pictures import grid_picture, heat
from histocnn.slides.slide import Slide
from tests.feature_files import write_features
from tests.score_files import random_scores, write_scores

STAGES = ("tile", "predict", "embed", "heatmap", "evaluate", "knn")
KINDS = 50  # slides that differ; the others are hard links
Point = tuple[float, float, int]  # CPU seconds of the process, MB resident, open descriptors


def main() -> None:
    """Make what is missing, and print a line per stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--slides", type=int, default=10_000)
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--minutes", type=float, default=1e6, help="of a stage, as if by Ctrl-C")
    given = parser.parse_args()
    out = given.out.resolve()
    if not given.pictures:
        leave_out_pictures()
    for stage in given.stages:
        if stage == "evaluate":
            evaluations(out / "judged", given.slides)
        else:
            with points(60 * given.minutes) as found, contextlib.suppress(KeyboardInterrupt):
                calls(out, given.slides)[stage]()
            show(stage, found)


def calls(out: Path, count: int) -> dict[str, Callable[[], Any]]:
    """Each stage, over what the stage before it made."""
    model = out / "model.safetensors"

    def tile() -> Any:
        slides(out / "slides", count)
        return histocnn.tile(out / "slides", out / "grids", patch_px=28, mpp=2.0, min_tissue=0.1)

    def predict() -> Any:
        if not model.exists():
            untrained(model)
        return histocnn.predict(out / "grids", model, out / "scores")

    def knn() -> Any:
        features(out / "many", count)
        return histocnn.knn(out / "many", out / "many", out / "knn", k=5)

    return {
        "tile": tile,
        "predict": predict,
        "embed": lambda: histocnn.embed(out / "grids", out / "features", model=model),
        "heatmap": lambda: histocnn.heatmap(out / "scores", out / "heatmaps"),
        "knn": knn,
    }


def leave_out_pictures() -> None:
    """Let an empty file stand for each picture of a slide."""

    def blank(_: Any, __: Any, path: Path, *more: Any, **named: Any) -> None:
        path.write_bytes(b"")

    grid_picture.tile_overview = lambda *drawn, **named: blank(*drawn[1:], **named)
    heat.View.write = blank  # type: ignore[assignment,method-assign]
    heat.class_picture = heat.score_picture = heat.novelty_picture = lambda *drawn: None  # type: ignore


def untrained(model: Path) -> None:
    """A LeNet-5 for patches of 28 px at 2 µm/px, of no training."""
    from histocnn.models.backbones import build
    from histocnn.models.spec import ModelSpec, save

    spec = ModelSpec(backbone="lenet5", class_names=("normal", "tumour"), patch_px=28, mpp=2.0)
    save(model, build("lenet5", 2), spec)


def slides(folder: Path, count: int) -> None:
    """So many names of KINDS small slides."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        path = folder / f"s{i:06d}.tif"
        if path.exists():
            continue
        if i < KINDS:
            make_phantom(path, PhantomSpec((512, 512), seed=i, tissue_px=(400, 400)))
        else:
            path.hardlink_to(folder / f"s{i % KINDS:06d}.tif")


def features(folder: Path, count: int) -> None:
    """So many files of 5 patches, each of a patient."""
    for i in range(count):
        path = folder / f"s{i:06d}.h5"
        if not path.exists():
            write_features(path, n=5, seed=i, patients=[f"p{i}"])


def evaluations(folder: Path, count: int) -> None:
    """Evaluate a tenth of the score files, then all."""
    slide = folder / "slide.tif"
    folder.mkdir(parents=True, exist_ok=True)
    make_phantom(slide, PhantomSpec((512, 512), seed=0, tissue_px=(400, 400)))
    opened = Slide(slide)
    grid = build_grid(opened.size_l0, (0.25, 0.25), patch_px=64, mpp=0.5, min_tissue=0)
    cost = []
    for part, many in (("tenth", count // 10), ("all", count)):
        (folder / part).mkdir(exist_ok=True)
        for i in range(many):
            write_scores(
                folder / part / f"s{i:06d}.h5", opened, grid, random_scores(len(grid), seed=i),
                attributes={
                    "patient_id": f"p{i}", "fingerprint": f"{i:064x}",
                    "labels.class_names": ["normal", "tumour"],
                },
                labels=np.arange(len(grid)) % 2,
            )  # fmt: skip
        start = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            histocnn.evaluate(folder / part, folder / f"report-{part}", allow_seen=True)
        cost.append((time.process_time() - start) / many)
        print(f"evaluate, {many} files: {1e3 * cost[-1]:.1f} ms of CPU a file, {resident():.0f} MB")
    print(f"evaluate: all over a tenth {cost[1] / cost[0]:.2f}")


@contextlib.contextmanager
def points(most_s: float) -> Iterator[list[Point]]:
    """Fill a list with where the process stands after each slide, and at the end."""
    found: list[Point] = []
    enter: Callable[..., str] = ledger.Ledger.enter
    start = time.monotonic()

    def noting(*arguments: object) -> str:
        found.append(point())
        if time.monotonic() > start + most_s:
            raise KeyboardInterrupt
        return enter(*arguments)

    ledger.Ledger.enter = noting  # type: ignore[method-assign]
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield found
    finally:
        ledger.Ledger.enter = enter  # type: ignore[method-assign]
    found.append(point())


def point() -> Point:
    """Where this process stands."""
    descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return time.process_time(), resident(), descriptors


def resident() -> float:
    """MB of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def show(stage: str, found: list[Point]) -> None:
    """Compare the last tenth with the first, without the very first tenth of that."""
    *each, end = found
    cpu = np.diff([point[0] for point in each])
    tenth = max(1, len(cpu) // 10)
    first, last = cpu[tenth // 10 : tenth], cpu[-tenth:]
    early, late = each[tenth], each[-1]
    print(
        f"{stage}, {len(each)} slides: {1e3 * first.mean():.1f} to {1e3 * last.mean():.1f} ms CPU"
        f" a slide, last tenth over first {last.mean() / first.mean():.2f}"
        f" (medians {median(last) / median(first):.2f});"
        f" memory {early[1]:.0f} to {late[1]:.0f} MB, descriptors {early[2]} to {late[2]};"
        f" sums at the end {end[0] - late[0]:.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
