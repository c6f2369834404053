"""A function over items in spawned processes that may die without taking the run with them.

The standard pool forgets which item a killed process was working on and breaks for all the others;
here each process has its own pipe, so its death is one item's failure and another takes its place.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, Literal, TypeVar

from histocnn.jobs.ahead import Ahead

T = TypeVar("T")
Tick = Callable[[int, int], None]  # patches done, patches in total

_TICK_SECONDS = 0.2
_index = 0


def worker_index() -> int:
    """The number of this process among the run's workers, from 0: worker i computes on GPU i."""
    return _index


@dataclass(frozen=True)
class Event:
    """One item started, went on (done, total), came to a result, or lost its process (exit code).

    A negative exit code is the number of the signal that killed the process.
    """

    item: int
    kind: Literal["start", "tick", "result", "death"]
    value: Any = None


Report = Callable[[Event], None]
Task = Callable[[T, Tick], Any]
Begin = Callable[[T], None]


def over(
    items: Sequence[T],
    task: Task[T],
    workers: int,
    report: Report,
    begin: Begin[T] | None = None,
) -> None:
    """Run `task(item, tick)` for every item and report what happens, as it happens.

    Args:
        items: In the order they are begun; picklable where workers > 1.
        task: Picklable where workers > 1: a function of a module, or an object that holds such. It
            returns its errors; what it raises ends its process.
        workers: Processes; with 1 everything happens in this one.
        report: Called in this process.
        begin: `begin(item)` begins to read the next item where the one at work has no more to
            read (see `Ahead`, which calls it); picklable where workers > 1.
    """
    if workers > 1 and len(items) > 1:
        _Pool(items, task, report, begin).run(min(workers, len(items)))
        return
    left = deque(items)
    ahead = Ahead(lambda: _first(left), begin)
    try:
        for index in range(len(items)):

            def tick(done: int, total: int, index: int = index) -> None:
                report(Event(index, "tick", (done, total)))

            item = ahead.next()
            report(Event(index, "start"))
            report(Event(index, "result", task(item, tick)))
    finally:
        ahead.close()


def _first(left: deque[T]) -> T:
    if not left:
        raise EOFError
    return left.popleft()


@dataclass
class _Worker:
    number: int
    process: SpawnProcess
    items: deque[int]  # the one at work, and the one that it begins to read


class _Pool(Generic[T]):
    """The parent's side: who works on what, and who waits for more."""

    def __init__(
        self, items: Sequence[T], task: Task[T], report: Report, begin: Begin[T] | None
    ) -> None:
        self._items = items
        self._todo = deque(range(len(items)))
        self._task, self._begin = task, begin
        self._report = report
        self._workers: dict[Connection, _Worker] = {}

    def run(self, workers: int) -> None:
        try:
            for number in range(workers):
                self._start(number)
            while self._workers:
                for connection in wait(list(self._workers)):
                    assert isinstance(connection, Connection)  # noqa: S101 for the type checker
                    self._listen(connection)
        finally:
            for worker in self._workers.values():
                worker.process.kill()
            for connection, worker in self._workers.items():
                worker.process.join()
                connection.close()

    def _start(self, number: int) -> None:
        """Start a process and give it its first item.

        Ctrl-C and a cluster's SIGTERM reach the whole group; they are blocked for the child,
        because ending the children is the parent's affair.
        """
        context = multiprocessing.get_context("spawn")
        connection, theirs = context.Pipe()
        serving = theirs, number, self._task, self._begin
        process = context.Process(target=_serve, args=serving, daemon=True)
        resource_tracker.ensure_running()  # started later, it would unblock the signal again
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()  # so that the child's death is the end of the pipe
        self._workers[connection] = _Worker(number, process, deque())
        self._feed(connection)

    def _feed(self, connection: Connection) -> None:
        worker = self._workers[connection]
        if not self._todo:
            connection.close()
            del self._workers[connection]
            worker.process.join()
            return
        self._report(Event(self._send(connection), "start"))

    def _send(self, connection: Connection) -> int:
        index = self._todo.popleft()
        self._workers[connection].items.append(index)
        with contextlib.suppress(BrokenPipeError):  # it died just now; the pipe's end will tell
            connection.send(self._items[index])
        return index

    def _listen(self, connection: Connection) -> None:
        worker = self._workers[connection]
        try:
            kind, value = connection.recv()
        except (EOFError, OSError):
            self._bury(connection)
            return
        if kind == "more":  # answered now, or once it has nothing at work
            if self._todo and self._begin is not None:
                self._send(connection)
            return
        item = worker.items[0]
        if kind == "result":
            worker.items.popleft()
        self._report(Event(item, kind, value))
        if kind == "result" and worker.items:
            self._report(Event(worker.items[0], "start"))
        elif kind == "result":
            self._feed(connection)

    def _bury(self, connection: Connection) -> None:
        """End a process that died: its item's fault, unless it had begun to read another.

        Then nobody knows whose it was: both are done again, and no item is begun ahead any more.
        """
        worker = self._workers.pop(connection)
        connection.close()
        worker.process.join()
        if len(worker.items) > 1:
            self._todo.extendleft(reversed(worker.items))
            self._begin = None
        else:
            self._report(Event(worker.items[0], "death", worker.process.exitcode))
        if self._todo:
            self._start(worker.number)


def _serve(connection: Connection, number: int, task: Task[Any], begin: Begin[Any] | None) -> None:
    """The child's side: one item after the other until the parent closes the pipe, or is gone."""
    global _index
    _index = number
    last = 0.0

    def tick(done: int, total: int) -> None:
        nonlocal last
        if done >= total or time.monotonic() - last > _TICK_SECONDS:
            last = time.monotonic()
            connection.send(("tick", (done, total)))

    ahead = Ahead(connection.recv, begin, ask=lambda: connection.send(("more", None)))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            connection.send(("result", task(ahead.next(), tick)))
