"""One slide in, one file out: skip what is done, survive what fails, say what it took.

A slide's recipe decides: a file made by today's recipe is done. An HDF5 file holds its recipe
itself; for other files it lies in `.runs/` beside them (`claims.py`). What a stage did not make it
does not write over (`ownership.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from histocnn.errors import HistocnnError, UsageError
from histocnn.jobs import claims
from histocnn.jobs.ahead import ReadAhead, begin
from histocnn.jobs.ledger import Ledger, Result, Summary, verdict
from histocnn.jobs.ownership import check_apart, refuse, strange_sums, strangers
from histocnn.jobs.progress import Bars
from histocnn.jobs.workers import Event, Tick, over, worker_index
from histocnn.storage import store
from histocnn.storage.atomic import check_writable, sweep
from histocnn.storage.json import differing_keys, shortened, to_json
from histocnn.storage.signals import held

__all__ = ["Files", "Summary", "Tick", "run", "to_do", "verdict", "worker_index"]


class Item(Protocol):
    """Anything with a slide_id.

    Where it has them, `inputs` are the files that it is made from, and `close()` is called when its
    slide has ended, in whichever process: what it holds open or in memory is given back. Where the
    work is a `ReadAhead`, items say when they have no more to read: see `jobs.ahead.Ahead`.
    """

    @property
    def slide_id(self) -> str:
        """The name of its output."""
        ...


T = TypeVar("T", bound=Item)


def _none(item: Any, target: Path) -> Iterable[Path]:
    return ()


@dataclass(frozen=True)
class Files:
    """Which files a stage makes of a slide.

    Attributes:
        suffix: Of the target, the file that is written last and says "done".
        beside: `beside(item, target)` are the other files and folders; picklable where workers > 1.
        keeps: Whether what an earlier run made of the slide, and this one does not, stays.
    """

    suffix: str = ".h5"
    beside: Callable[[Any, Path], Iterable[Path]] = _none
    keeps: bool = True


def run(
    items: Sequence[T],
    *,
    out: Path,
    command: str,
    recipe: Callable[[T], dict[str, Any]],
    work: Callable[[T, Path, dict[str, Any], Tick], dict[str, Any] | None],
    workers: int = 1,
    files: Files = Files(),
    source: str | Path | None = None,
) -> Summary:
    """Make `<out>/<slide_id>.h5`, or what `files` says, of every item that has none by its recipe.

    Args:
        items: Anything picklable with a `slide_id`.
        out: The folder of the results; made if missing.
        command: The stage's name, for messages and run.json.
        recipe: The options and inputs that decide the content of an item's file.
        work: `work(item, target, recipe, tick)` writes the target whole, an empty slide's too, and
            returns facts: patches, outcome ("ok", "empty" …), notes, shares (seconds by name). A
            `ReadAhead` begins to read an item that is to be made before the one before has ended.
        workers: Slides in parallel processes (spawned); `recipe` and `work` are then functions of
            a module or `functools.partial` of one.
        files: What is written for each item.
        source: The file or folder that the user gave as input. A failure of an earlier run over it
            is forgotten when it no longer holds the slide.

    Raises:
        StoreError: `out` cannot be written.
        UsageError: Two items have the same slide id, workers is below 1, `out` holds the inputs, or
            files that this stage did not make where it would write.
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
    job = _Job(Path(out), command, files, recipe, work)
    _check_ours(items, job, source)
    check_writable(job.out)
    _sweep(job.out)
    ledger = Ledger(job.out, files.suffix, command, list(counts), source=source)
    try:
        with Bars(command, len(items)) as bars:
            _run_all(items, job, workers, ledger, bars)
    finally:
        with held():  # whoever ends this run: what has been done is summed up
            _sweep(job.out)  # what a killed worker left
            ledger.close()
    return ledger.summary


def to_do(items: Sequence[T], out: Path, recipe: Callable[[T], dict[str, Any]]) -> list[T]:
    """Those of which a run has no HDF5 file by their recipe; what cannot be read is one."""
    job = _Job(out, "", Files(), recipe, lambda *_: None)

    def is_done(item: T) -> bool:
        with contextlib.suppress(Exception), _closing(item):  # it fails in its turn
            return job.is_done(item)
        return False

    return [item for item in items if not is_done(item)]


def _check_ours(items: Sequence[T], job: _Job[T], source: str | Path | None) -> None:
    """Refuse, before work begins, a folder where a slide's files would hit somebody else's."""
    given = [Path(source)] if source and Path(source).suffix.lower() != ".csv" else []
    of_items = (path for item in items for path in getattr(item, "inputs", ()))
    check_apart(job.out, [*given, *of_items])
    try:
        empty = not any(job.out.iterdir())
    except OSError:  # not there yet, or `check_writable` says why
        return
    if not empty:
        found = strange_sums(job.out)
        for item in items:
            found += job.strangers(item)
        refuse(found, job.command)


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

    over(items, job, workers, report, job.begin if isinstance(job.work, ReadAhead) else None)
    for line in ledger.closing_lines():
        bars.say(line)


def _dead(exit_code: int) -> Result:
    how = f"ended with exit code {exit_code}"
    if exit_code < 0:
        how = f"was killed by {signal.Signals(-exit_code).name}"
    remedy = "Most often memory ran out: lower --workers." if exit_code == -signal.SIGKILL else ""
    return Result("failed", error="ProcessDied", message=f"its process {how}. {remedy}".strip())


def _sweep(out: Path) -> None:
    for folder in (out, out / claims.FOLDER):
        sweep(folder)


@contextlib.contextmanager
def _closing(item: Item) -> Iterator[None]:
    """Give back what an item holds when its slide has ended: 10,000 slides cost what one does."""
    try:
        yield
    finally:
        close = getattr(item, "close", None)
        if close is not None:
            close()


@dataclass(frozen=True)
class _Job(Generic[T]):
    """What happens to one item, here or in a worker: compare, work, catch."""

    out: Path
    command: str
    files: Files
    recipe: Callable[[T], dict[str, Any]]
    work: Callable[[T, Path, dict[str, Any], Tick], dict[str, Any] | None]

    def __call__(self, item: T, tick: Tick) -> Result:
        try:
            with _closing(item):
                return self._make(item, tick)
        except HistocnnError as error:
            return Result("failed", error=type(error).__name__, message=_one_line(error))
        except Exception as error:  # a bug or a broken file is this slide's failure, not the run's
            name = type(error).__name__
            text = traceback.format_exc()
            return Result(
                "failed", error=name, message=f"{name}: {_one_line(error)}", traceback=text
            )

    def strangers(self, item: T) -> list[Path]:
        """What lies where this item's files go and is not ours."""
        target = self._target(item)
        failure = self.out / f"{item.slide_id}.failed.json"
        found = [failure] if os.path.lexists(failure) and not claims.read(failure) else []
        with _closing(item):
            return found + strangers(target, self.command, self._beside(item, target))

    def _target(self, item: T) -> Path:
        return self.out / f"{item.slide_id}{self.files.suffix}"

    def _beside(self, item: T, target: Path) -> list[Path]:
        try:
            return list(self.files.beside(item, target))
        except HistocnnError:  # an input that cannot be read fails by itself, and writes nothing
            return []

    def begin(self, item: T) -> None:
        """Begin to read an item before its turn, unless it is done; nothing is written."""
        if not self.is_done(item):
            begin(self.work, item)

    def is_done(self, item: T) -> bool:
        """Whether its file is there by its recipe."""
        record = claims.read(claims.record_path(target := self._target(item)))
        return _differences(target, record, self._recipe(item)) == []

    def _recipe(self, item: T) -> dict[str, Any]:
        return dict(json.loads(to_json(shortened(self.recipe(item)))))

    def _make(self, item: T, tick: Tick) -> Result:
        recipe = self._recipe(item)
        target = self._target(item)
        record = claims.read(path := claims.record_path(target))
        differing = _differences(target, record, recipe)
        if differing == [] and claims.is_finished(record):
            return Result("skipped")
        beside = self._beside(item, target)
        refuse(strangers(target, self.command, beside), self.command)
        named = claims.claim(
            path, self.command, [target, *beside], slide_id=item.slide_id, begun=recipe
        )
        ours = {"command": self.command, "files": named}
        if differing == []:  # killed between the file and its record
            return Result("skipped", recipe, facts=ours | claims.rebuilt(target))
        # Its process died the last time: of itself, or of the next one that was begun?
        begin(self.work, item, alone=bool(record) and not claims.is_finished(record))
        facts = self.work(item, target, recipe, tick) or {}
        if not target.exists():
            raise RuntimeError(f"{target.name} was not written")
        if not self.files.keeps:
            ours["files"] = claims.renounce(path, self.command, target, beside)
        return Result("done", recipe, differing or [], facts | ours)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _differences(
    target: Path, record: claims.Record, recipe: Mapping[str, Any]
) -> list[str] | None:
    """Name what differs, as `store.differences`; the recipe of what is not HDF5 is in its record.

    Where a run of another recipe was killed, its pictures may lie beside this one's file.
    """
    if record.get("begun", recipe) != recipe:
        return None
    if target.suffix == ".h5":
        return store.differences(target, recipe)
    if not claims.is_finished(record) or not target.exists():
        return None
    return differing_keys(record["recipe"], recipe)
