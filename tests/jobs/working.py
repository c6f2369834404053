"""Work of a hundred rows a slide, in which names of slides stand for what can go wrong.

Apart from the tests: processes that are started to be killed import this, and not pytest.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from histocnn.errors import ResolutionError, SlideError
from histocnn.jobs import run as runs
from histocnn.jobs.ledger import Summary
from histocnn.storage import store

TEN = " ".join(f"s{i}" for i in range(10))


@dataclass(frozen=True)
class Item:
    slide_id: str


def items(names: str) -> list[Item]:
    return [Item(name) for name in names.split()]


def recipe(item: Item, patch_px: int = 224, mpp: float = 0.5) -> dict[str, Any]:
    if item.slide_id == "no_mpp":
        raise ResolutionError("no_mpp.svs: has no resolution", "Set --slide_mpp.")
    return {"patch_px": patch_px, "mpp": mpp}


def work(
    item: Item, target: Path, recipe: dict[str, Any], tick: runs.Tick, die: bool = True
) -> dict[str, Any]:
    """Write 100 rows; some slide ids stand for what can go wrong."""
    if item.slide_id == "broken":
        raise SlideError("broken.svs: is cut short", "Copy it again.")
    if item.slide_id == "bug":
        raise ZeroDivisionError("over\nzero")
    if item.slide_id == "killed" and die:
        os.kill(os.getpid(), signal.SIGKILL)
    attributes = {"slide_id": item.slide_id, "recipe": recipe}
    datasets = {"features": ((4,), np.float32, np.nan), "worker": ((), np.int64, -1)}
    with store.Writer(target, 100, datasets, attributes) as writer:
        for row in range(0, 100, 20):
            rows = range(row, row + 20)
            index = runs.worker_index()
            writer.put(rows, {"features": [[row] * 4 for row in rows], "worker": [index] * 20})
            tick(row + 20, 100)
        if item.slide_id == os.environ.get("HANG_AT"):
            time.sleep(0.3)  # the writer's thread has put something into the temporary file
            (target.parent.parent / "hangs").touch()
            time.sleep(60)
    return {
        "patches": 100,
        "outcome": "empty" if item.slide_id == "empty" else "ok",
        "notes": ["pen found"] if item.slide_id == "pen" else [],
        "shares": {"pixels": 0.31, "compute": 0.66, "write": 0.03},
    }


def go(out: Path, names: str, workers: int = 1, **options: Any) -> Summary:
    return runs.run(
        items(names),
        out=out,
        command="embed",
        recipe=partial(recipe, **options),
        work=work,
        workers=workers,
    )
