"""The next item begun while the one at work ends, so that nobody waits between two slides."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class ReadAhead(Generic[T]):
    """Work on items, and how to begin to read one before its turn; for `jobs.run.run`.

    Attributes:
        work: As `run` takes it.
        begin: `begin(item)` begins to read in threads, if it has not been begun, and returns; the
            item's `close()` gives back what nobody took over.
    """

    work: Callable[..., dict[str, Any] | None]
    begin: Callable[[T], None]

    def __call__(self, *given: Any) -> dict[str, Any] | None:
        """Do the work."""
        return self.work(*given)


def _nothing() -> None:
    pass


def begin(work: object, item: Any, *, alone: bool = False) -> None:
    """Begin to read an item where its work knows how.

    Args:
        work: A `ReadAhead`, or other work, with which nothing is done.
        item: Comes next, or now.
        alone: The next one is begun in its turn: were it to end the process, this one would not be
            made, today and whenever the same command is given again.
    """
    if isinstance(work, ReadAhead):
        if alone:
            item.when_read(_nothing)
        work.begin(item)


class Ahead(Generic[T]):
    """Gives one item after the other; the next is begun once the last has no more to read.

    Not earlier: until then disk, cores and memory are those of the item at work.

    Args:
        receive: The next item; EOFError where there is none.
        begin: `begin(item)` begins to read in threads and returns. What it raises is dropped: the
            item fails by itself, in its turn. None: items are begun in their turn.
        ask: Called in the thread of the item at work before `receive` is, in another.

    With `begin`, items have two methods: `when_read(call)`, whose `call` they do when they have no
    more to read, and `close()`.
    """

    def __init__(
        self,
        receive: Callable[[], T],
        begin: Callable[[T], None] | None,
        ask: Callable[[], None] = _nothing,
    ) -> None:
        self._receive, self._begin, self._ask = receive, begin, ask
        self._thread: threading.Thread | None = None
        self._found: list[T] = []
        self._error: BaseException | None = None

    def next(self) -> T:
        """The next item, begun or not.

        Raises:
            EOFError: There is none.
        """
        self._join()
        error, self._error = self._error, None
        if error is not None:
            raise error
        item = self._found.pop() if self._found else self._receive()
        if self._begin is not None:
            readable: Any = item
            readable.when_read(self._go_on)
        return item

    def close(self) -> None:
        """Give back what was begun and is not wanted any more."""
        self._join()
        while self._found:
            begun: Any = self._found.pop()
            begun.close()

    def _go_on(self) -> None:
        if self._thread is None:
            self._ask()
            self._thread = threading.Thread(target=self._begin_next, name="ahead", daemon=True)
            self._thread.start()

    def _begin_next(self) -> None:
        try:
            item = self._receive()
        except BaseException as error:  # the end of the items, or of the pipe they come through
            self._error = error
            return
        self._found.append(item)
        with suppress(Exception):
            if self._begin is not None:
                self._begin(item)

    def _join(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            with suppress(RuntimeError):  # a signal came before it was started
                thread.join()
