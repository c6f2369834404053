"""How long no batch is computed between two slides: read ahead, and not, in turns.

python benchmarks/between.py --out FOLDER [--networks timm/test_resnet resnet18] [--slides 12]

Slides are phantoms of 2,048 px of one batch each or little more, so that there is much between
them. Wall time from the end of a slide's last batch to the begin of the next slide's first one,
and what of it this thread computed (the rest it waited); one turn is a whole `predict`. Weights
are random, which cost what trained ones do.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from stages import untrained

import histocnn
from histocnn.jobs import ahead
from histocnn.models import predicting
from histocnn.models.runner import Runner
from histocnn.phantom.cohort import PhantomSpec, make_phantom

SIDE_PX, PATCH_PX, MPP = 2048, 224, 0.5


class Turn(NamedTuple):
    """Of one predict: from slide to slide, of this thread within, their share; CPU of all."""

    between_ms: float
    computed_ms: float
    share: float
    seconds: float
    cpu_seconds: float


def main() -> None:
    """Make slides and models, then predict in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--networks", nargs="+", default=["timm/test_resnet", "resnet18"])
    parser.add_argument("--slides", type=int, default=12)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of the network")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    (given.out / "slides").mkdir(parents=True, exist_ok=True)
    for seed in range(given.slides):
        path = given.out / "slides" / f"s{seed:02d}.tif"
        if not path.exists():
            make_phantom(path, PhantomSpec((SIDE_PX, SIDE_PX), seed=seed))
    with contextlib.redirect_stderr(io.StringIO()):
        histocnn.tile(given.out / "slides", given.out / "grids", PATCH_PX, MPP, min_tissue=0.1)
    for network in given.networks:
        folder = given.out / network.rpartition("/")[2]
        model = untrained(folder, network, PATCH_PX, MPP)
        turn(given.out / "grids", model, read_ahead=True)  # compiles, fills caches
        found: dict[bool, list[Turn]] = {True: [], False: []}
        for _ in range(given.turns):
            for read_ahead, turns in found.items():
                turns.append(turn(given.out / "grids", model, read_ahead))
        for read_ahead, turns in found.items():
            of_all = Turn(*(median(each) for each in zip(*turns, strict=True)))
            print(
                f"{network}, {'read ahead' if read_ahead else 'one by one'}: between two slides"
                f" {of_all.between_ms:.0f} ms, of which this thread computed"
                f" {of_all.computed_ms:.0f}; {of_all.share:.1%} of {of_all.seconds:.1f} s;"
                f" CPU of all {of_all.cpu_seconds:.2f} s",
                flush=True,
            )


def turn(grids: Path, model: Path, read_ahead: bool) -> Turn:
    """Predict all slides."""
    out = model.parent / "scores"
    shutil.rmtree(out, ignore_errors=True)
    began = time.process_time()
    with batches() as ran, contextlib.ExitStack() as changed:
        changed.enter_context(contextlib.redirect_stderr(io.StringIO()))
        if not read_ahead:
            changed.enter_context(one_by_one())
        result = histocnn.predict(grids, model, out)
    if result.failures:
        raise SystemExit(str(result.failures))
    cpu_seconds = time.process_time() - began
    by_slide: list[list[tuple[float, ...]]] = []
    for name, *times in ran:
        if not by_slide or by_slide[-1][0][0] != name:
            by_slide.append([])
        by_slide[-1].append((name, *times))
    pairs = [(a[-1], b[0]) for a, b in itertools.pairwise(by_slide)]
    between = [later[1] - earlier[2] for earlier, later in pairs]
    computed = [later[3] - earlier[4] for earlier, later in pairs]
    whole = ran[-1][2] - ran[0][1]
    return Turn(
        1e3 * median(between), 1e3 * median(computed), sum(between) / whole, whole, cpu_seconds
    )


@contextlib.contextmanager
def batches() -> Iterator[list[Any]]:
    """Fill a list with (slide, wall from, to, this thread's CPU from, to) of each batch."""
    found: list[Any] = []
    call, score, slide = Runner.__call__, predicting.score, [""]

    def timed(self: Runner, pixels: Any) -> Any:
        wall, cpu = time.perf_counter(), time.thread_time()
        result = call(self, pixels)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        found.append((slide[0], wall, time.perf_counter(), cpu, time.thread_time()))
        return result

    def named(patches: Any, *given: Any, **more: Any) -> Any:
        slide[0] = patches.name
        return score(patches, *given, **more)

    Runner.__call__, predicting.score = timed, named  # type: ignore[method-assign]
    try:
        yield found
    finally:
        Runner.__call__, predicting.score = call, score  # type: ignore[method-assign]


@contextlib.contextmanager
def one_by_one() -> Iterator[None]:
    """Begin no slide before its turn, nor before its network is there: as it was."""
    begin_next, begin = ahead.Ahead._go_on, predicting.begin
    ahead.Ahead._go_on = lambda self: None  # type: ignore[method-assign]
    predicting.begin = lambda patches, *, scorer: None
    try:
        yield
    finally:
        ahead.Ahead._go_on, predicting.begin = begin_next, begin  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
