"""One slide in, one file out: skip what is done, survive what fails, say what it took.

A slide's recipe decides: a file made by today's recipe is done. An HDF5 file holds its recipe
itself; for other files it lies in `.runs/` beside them (`ledger.py`).
"""

from __future__ import annotations

import json
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from histocnn.errors import HistocnnError, UsageError
from histocnn.jobs.ledger import Ledger, Result, Summary, record_path, verdict
from histocnn.jobs.progress import Bars
from histocnn.jobs.records import RECORDS
from histocnn.jobs.workers import Event, Tick, over, worker_index
from histocnn.storage import store
from histocnn.storage.atomic import check_writable, sweep
from histocnn.storage.json import differing_keys, to_json

__all__ = ["Summary", "Tick", "run", "verdict", "worker_index"]


class Item(Protocol):
    """Anything with a slide_id."""

    @property
    def slide_id(self) -> str:
        """The name of its output."""
        ...


T = TypeVar("T", bound=Item)


def run(
    items: Sequence[T],
    *,
    out: Path,
    command: str,
    recipe: Callable[[T], dict[str, Any]],
    work: Callable[[T, Path, dict[str, Any], Tick], dict[str, Any] | None],
    workers: int = 1,
    suffix: str = ".h5",
    source: str | Path | None = None,
) -> Summary:
    """Make `<out>/<slide_id><suffix>` of every item that has none by today's recipe.

    Args:
        items: Anything picklable with a `slide_id`.
        out: The folder of the results; made if missing.
        command: The stage's name, for messages and run.json.
        recipe: The options and inputs that decide the content of an item's file.
        work: `work(item, target, recipe, tick)` writes the target whole, an empty slide's too, and
            returns facts: patches, outcome ("ok", "empty" …), notes, shares (seconds by name).
        workers: Slides in parallel processes (spawned); `recipe` and `work` are then functions of
            a module or `functools.partial` of one.
        suffix: Of the target.
        source: The file or folder that the user gave as input. A failure of an earlier run over it
            is forgotten when it no longer holds the slide.

    Raises:
        StoreError: `out` cannot be written.
        UsageError: Two items have the same slide id, or workers is below 1.
        KeyboardInterrupt: Passed on; the summaries are written and nothing half-written is left.
    """
    if workers < 1:
        raise UsageError(f"--workers {workers} is below 1", "Give the number of parallel slides.")
    counts = Counter(item.slide_id for item in items)
    if doubled := [slide_id for slide_id, count in counts.items() if count > 1]:
        raise UsageError(
            f"two inputs have the same slide id: {', '.join(doubled[:3])}",
            "Keep one of each: the output is named by the slide.",
        )
    out = Path(out)
    check_writable(out)
    _sweep(out)
    ledger = Ledger(out, suffix, command, list(counts), source=source)
    try:
        with Bars(command, len(items)) as bars:
            _run_all(items, _Job(out, suffix, recipe, work), workers, ledger, bars)
    finally:
        _sweep(out)  # what a killed worker left
        ledger.close()
    return ledger.summary


def _run_all(items: Sequence[T], job: _Job[T], workers: int, ledger: Ledger, bars: Bars) -> None:
    started = [0.0] * len(items)

    def report(event: Event) -> None:
        slide_id = items[event.item].slide_id
        if event.kind == "start":
            started[event.item] = time.perf_counter()
        elif event.kind == "tick":
            bars.tick(slide_id, *event.value)
        else:
            seconds = time.perf_counter() - started[event.item]
            result = event.value if event.kind == "result" else _dead(event.value)
            if line := ledger.enter(slide_id, result, seconds):
                bars.say(line)
            bars.advance()

    over(items, job, workers, report)
    for line in ledger.closing_lines():
        bars.say(line)


def _dead(exit_code: int) -> Result:
    how = f"ended with exit code {exit_code}"
    if exit_code < 0:
        how = f"was killed by {signal.Signals(-exit_code).name}"
    remedy = "Most often memory ran out: lower --workers." if exit_code == -signal.SIGKILL else ""
    return Result("failed", error="ProcessDied", message=f"its process {how}. {remedy}".strip())


def _sweep(out: Path) -> None:
    for folder in (out, out / RECORDS):
        sweep(folder)


@dataclass(frozen=True)
class _Job(Generic[T]):
    """What happens to one item, here or in a worker: compare, work, catch."""

    out: Path
    suffix: str
    recipe: Callable[[T], dict[str, Any]]
    work: Callable[[T, Path, dict[str, Any], Tick], dict[str, Any] | None]

    def __call__(self, item: T, tick: Tick) -> Result:
        try:
            return self._make(item, tick)
        except HistocnnError as error:
            return Result("failed", error=type(error).__name__, message=_one_line(error))
        except Exception as error:  # a bug or a broken file is this slide's failure, not the run's
            name = type(error).__name__
            text = traceback.format_exc()
            return Result(
                "failed", error=name, message=f"{name}: {_one_line(error)}", traceback=text
            )

    def _make(self, item: T, tick: Tick) -> Result:
        recipe = json.loads(to_json(self.recipe(item)))
        target = self.out / f"{item.slide_id}{self.suffix}"
        record = record_path(target)
        differing = _differences(target, record, recipe)
        if differing == []:
            return Result("skipped")
        record.unlink(missing_ok=True)
        facts = self.work(item, target, recipe, tick) or {}
        if not target.exists():
            raise RuntimeError(f"{target.name} was not written")
        return Result("done", recipe, differing or [], facts)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _differences(target: Path, record: Path, recipe: Mapping[str, Any]) -> list[str] | None:
    """Name what differs, as `store.differences`; what is not HDF5 has its recipe in its record."""
    if target.suffix == ".h5":
        return store.differences(target, recipe)
    try:
        stored = json.loads(record.read_text(encoding="utf-8"))["recipe"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    if not isinstance(stored, Mapping) or not target.exists():
        return None
    return differing_keys(stored, recipe)
