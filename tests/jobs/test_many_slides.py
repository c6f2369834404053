"""The last of many slides costs what the first did, in all that a run does beside its work.

Counted are steps of the interpreter: they are the same however busy the machine is, where CPU
seconds of such short work double. `benchmarks/scale.py` measures these, over 10,000 slides.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from histocnn.jobs import run as runs
from histocnn.jobs.ledger import Ledger

FEW, MANY = 20, 100
DEARER = 1.02
RECIPE = {"stage": "tile", "options": [0.5] * 20, "slide": "f" * 64}


@dataclass(frozen=True)
class Named:
    slide_id: str


@contextmanager
def counting() -> Iterator[list[int]]:
    """Fill a list with the steps that the interpreter takes meanwhile, in who calls this too."""
    steps, before = [0], sys.gettrace()

    def count(frame: Any, event: str, _: object) -> Callable[..., Any]:
        frame.f_trace_opcodes = True
        steps[0] += event == "opcode"
        return count

    frame = sys._getframe()
    sys.settrace(count)
    while frame is not None and before is None:
        frame.f_trace, frame.f_trace_opcodes = count, True
        frame = frame.f_back
    try:
        yield steps
    finally:
        sys.settrace(before)


@dataclass
class Work:
    """Writes an empty file, and notes where the process stood when each slide began."""

    steps: list[int] = field(default_factory=lambda: [0])
    begun: list[tuple[int, int]] = field(default_factory=list)  # steps; bytes held

    def __call__(self, item: Named, target: Path, _: dict[str, Any], tick: runs.Tick) -> Any:
        self.begun.append((self.steps[0], tracemalloc.get_traced_memory()[0]))
        target.touch()
        tick(5, 5)
        return {"patches": 5, "notes": ["as asked"], "shares": {"pixels": 0.1}, "areas": [1.0] * 50}


def make(out: Path, count: int, work: Work | None = None) -> None:
    items = [Named(f"s{i:06d}") for i in range(count)]
    runs.run(
        items, out=out, command="tile", recipe=lambda _: RECIPE, work=work or Work(),
        files=runs.Files(".png"),
    )  # fmt: skip


def per_slide(counts: dict[int, int]) -> float:
    """What a slide more costs among many, over what one costs among few."""
    assert list(counts) == [FEW, 2 * FEW, MANY, MANY + FEW]
    few, more, many, most = counts.values()
    return (most - many) / (more - few)


def test_a_slide_costs_the_same_however_many_came_before(tmp_path: Path) -> None:
    with counting() as steps:
        work = Work(steps)
        make(tmp_path, MANY, work)
    begun = [at for at, _ in work.begun]
    first, last = begun[FEW] - begun[FEW - 10], begun[-1] - begun[-11]
    assert 0 < last < DEARER * first


@pytest.mark.parametrize("what", ["a run that finds all done", "the sums"])
def test_one_more_costs_the_same_however_many_there_are(tmp_path: Path, what: str) -> None:
    counts = {}
    for count in (FEW, 2 * FEW, MANY, MANY + FEW):
        make(tmp_path, count)
        book = Ledger(tmp_path, ".png", "tile", [])
        with counting() as steps:
            book.close() if what == "the sums" else make(tmp_path, count)
        counts[count] = steps[0]
    assert 0 < per_slide(counts) < DEARER


def test_a_slide_leaves_in_memory_only_its_row(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        make(tmp_path, 4 * FEW, work := Work())
    finally:
        tracemalloc.stop()
    held = [held for _, held in work.begun]
    assert held[-1] - held[2 * FEW] < 2 * FEW * 2500  # bytes; its recipe and facts were 4,500 more
