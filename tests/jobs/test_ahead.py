"""The next item is begun when the last has no more to read: not earlier, and never for nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from histocnn.jobs.ahead import Ahead


@dataclass
class Item:
    name: str
    calls: list[Callable[[], None]] = field(default_factory=list)
    closed: int = 0

    def when_read(self, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def close(self) -> None:
        self.closed += 1


def giving(items: list[Item]) -> Callable[[], Item]:
    left = iter(items)

    def receive() -> Item:
        for item in left:
            return item
        raise EOFError

    return receive


def test_the_next_item_is_begun_once_the_last_has_no_more_to_read() -> None:
    items, begun = [Item("a"), Item("b"), Item("c")], []
    ahead = Ahead(giving(items), lambda item: begun.append(item.name))
    assert ahead.next() is items[0]
    assert begun == []
    items[0].calls[0]()
    items[0].calls[0]()  # saying it twice begins no third
    assert ahead.next() is items[1]
    assert begun == ["b"]
    assert ahead.next() is items[2]  # the second never said it
    items[2].calls[0]()
    with pytest.raises(EOFError):
        ahead.next()
    assert begun == ["b"]
    assert [item.closed for item in items] == [0, 0, 0]


def test_what_cannot_be_begun_still_has_its_turn() -> None:
    items = [Item("a"), Item("b")]

    def fail(item: Item) -> None:
        raise OSError(item.name)

    ahead = Ahead(giving(items), fail)
    ahead.next().calls[0]()
    assert ahead.next() is items[1]
    with pytest.raises(EOFError):
        ahead.next()


def test_what_was_begun_and_is_not_wanted_is_given_back() -> None:
    items, may_end = [Item("a"), Item("b")], threading.Event()
    ahead = Ahead(giving(items), lambda item: may_end.wait(60))
    ahead.next().calls[0]()
    may_end.set()
    ahead.close()
    ahead.close()
    assert [item.closed for item in items] == [0, 1]


def test_who_gives_items_is_asked_by_the_thread_at_work_and_waited_for_in_another() -> None:
    asked: list[str] = []
    received: list[str] = []
    give = giving([Item("a"), Item("b")])

    def receive() -> Item:
        received.append(threading.current_thread().name)
        return give()

    here = threading.current_thread().name
    ahead = Ahead(receive, lambda _: None, lambda: asked.append(threading.current_thread().name))
    ahead.next().calls[0]()
    ahead.next()
    assert (asked, received) == ([here], [here, "ahead"])


def test_without_a_way_to_begin_items_need_no_methods() -> None:
    numbers = iter([1, 2])
    ahead = Ahead(lambda: next(numbers), None)
    assert [ahead.next(), ahead.next()] == [1, 2]


def test_a_signal_before_its_thread_has_started_is_all_that_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    items = [Item("a"), Item("b")]
    ahead = Ahead(giving(items), lambda item: None)
    ahead.next()
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        items[0].calls[0]()
    ahead.close()
