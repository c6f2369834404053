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
from typing import Any, Literal, TypeVar

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


def over(items: Sequence[T], task: Task[T], workers: int, report: Report) -> None:
    """Run `task(item, tick)` for every item and report what happens, as it happens.

    Args:
        items: In the order they are begun; picklable where workers > 1.
        task: Picklable where workers > 1: a function of a module, or an object that holds such. It
            returns its errors; what it raises ends its process.
        workers: Processes; with 1 everything happens in this one.
        report: Called in this process.
    """
    if workers > 1 and len(items) > 1:
        _Pool(items, task, report).run(min(workers, len(items)))
        return
    for index, item in enumerate(items):
        report(Event(index, "start"))

        def tick(done: int, total: int, index: int = index) -> None:
            report(Event(index, "tick", (done, total)))

        report(Event(index, "result", task(item, tick)))


@dataclass
class _Worker:
    number: int
    process: SpawnProcess
    item: int = -1


class _Pool:
    """The parent's side: who works on what, and who waits for more."""

    def __init__(self, items: Sequence[T], task: Task[T], report: Report) -> None:
        self._todo = deque(enumerate(items))
        self._task = task
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
        process = context.Process(target=_serve, args=(theirs, number, self._task), daemon=True)
        resource_tracker.ensure_running()  # started later, it would unblock the signal again
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()  # so that the child's death is the end of the pipe
        self._workers[connection] = _Worker(number, process)
        self._feed(connection)

    def _feed(self, connection: Connection) -> None:
        worker = self._workers[connection]
        if not self._todo:
            connection.close()
            del self._workers[connection]
            worker.process.join()
            return
        worker.item, item = self._todo.popleft()
        self._report(Event(worker.item, "start"))
        with contextlib.suppress(BrokenPipeError):  # it died just now; the pipe's end will tell
            connection.send(item)

    def _listen(self, connection: Connection) -> None:
        worker = self._workers[connection]
        try:
            kind, value = connection.recv()
        except (EOFError, OSError):
            del self._workers[connection]
            connection.close()
            worker.process.join()
            self._report(Event(worker.item, "death", worker.process.exitcode))
            if self._todo:
                self._start(worker.number)
            return
        self._report(Event(worker.item, kind, value))
        if kind == "result":
            self._feed(connection)


def _serve(connection: Connection, number: int, task: Task[Any]) -> None:
    """The child's side: one item after the other until the parent closes the pipe, or is gone."""
    global _index
    _index = number
    last = 0.0

    def tick(done: int, total: int) -> None:
        nonlocal last
        if done >= total or time.monotonic() - last > _TICK_SECONDS:
            last = time.monotonic()
            connection.send(("tick", (done, total)))

    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            item = connection.recv()
            connection.send(("result", task(item, tick)))
