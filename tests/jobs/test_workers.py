"""A function over items in processes that may die."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from histocnn.jobs.workers import Event, Tick, over, worker_index


def square(item: int, tick: Tick) -> tuple[int, int]:
    tick(1, 2)
    tick(2, 2)
    return item * item, worker_index()


def die(item: int, tick: Tick) -> int:
    if item == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 2:
        os._exit(3)
    time.sleep(0.1)
    return item


def hang(item: int, tick: Tick) -> int:
    tick(os.getpid(), os.getpid())
    time.sleep(60)
    return item


def test_one_worker_is_this_process_and_tells_all_in_order() -> None:
    events: list[Event] = []
    over([3, 4], square, 1, events.append)
    assert events == [
        Event(0, "start"),
        Event(0, "tick", (1, 2)),
        Event(0, "tick", (2, 2)),
        Event(0, "result", (9, 0)),
        Event(1, "start"),
        Event(1, "tick", (1, 2)),
        Event(1, "tick", (2, 2)),
        Event(1, "result", (16, 0)),
    ]


def test_several_workers_give_every_item_one_result() -> None:
    events: list[Event] = []
    over(list(range(6)), square, 2, events.append)
    results = {event.item: event.value for event in events if event.kind == "result"}
    assert {item: value for item, (value, _) in results.items()} == {i: i * i for i in range(6)}
    assert {worker for _, worker in results.values()} <= {0, 1}
    assert [event.item for event in events if event.kind == "start"] == list(range(6))
    # A last tick always comes through; those before are thinned out.
    assert {e.item for e in events if e.kind == "tick" and e.value == (2, 2)} == set(range(6))


def test_a_process_that_dies_is_its_items_end_and_no_others() -> None:
    events: list[Event] = []
    over(list(range(5)), die, 2, events.append)
    ended = {e.item: (e.kind, e.value) for e in events if e.kind in ("result", "death")}
    assert ended == {
        0: ("result", 0),
        1: ("death", -signal.SIGKILL),
        2: ("death", 3),
        3: ("result", 3),
        4: ("result", 4),
    }


def test_whoever_stops_listening_leaves_no_process() -> None:
    seen: list[int] = []

    def stop(event: Event) -> None:
        if event.kind == "tick":
            seen.append(event.value[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        over([1, 2], hang, 2, stop)
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


def test_nothing_to_do_is_nothing_done() -> None:
    over([], square, 4, pytest.fail)


@dataclass
class Slide:
    """What says when it has no more to read, notes in a folder what was begun, and where."""

    number: int
    notes: Path
    read: list[Callable[[], None]] = field(default_factory=list)
    begun: bool = False

    def when_read(self, call: Callable[[], None]) -> None:
        self.read.append(call)

    def close(self) -> None:
        (self.notes / f"closed {self.number}").touch()


def begin(slide: Slide) -> None:
    slide.begun = True


def read(slide: Slide, tick: Tick) -> tuple[bool, int]:
    """Whether it was begun before its turn, and where."""
    for say in slide.read:
        say()
    return slide.begun, os.getpid()


def begin_and_die(slide: Slide) -> None:
    if slide.number == 3:
        (slide.notes / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def read_until_it_died(slide: Slide, tick: Tick) -> None:
    """Slide 2 is at work until its process dies, slide 0 until then; slide 4 dies by itself."""
    died = slide.notes / "died"
    if slide.number != 0:
        read(slide, tick)
    while slide.number in (0, 2) and not died.exists():
        time.sleep(0.01)
    if slide.number == 2 and slide.read:  # in the process that dies of slide 3
        time.sleep(60)
    if slide.number == 4:
        os.kill(os.getpid(), signal.SIGKILL)


def test_the_next_item_is_begun_in_the_process_of_the_last(tmp_path: Path) -> None:
    for workers in (1, 2):
        events: list[Event] = []
        slides = [Slide(i, tmp_path) for i in range(8)]
        over(slides, read, workers, events.append, begin)
        began = {e.item: e.value[0] for e in events if e.kind == "result"}
        assert len(began) == 8
        assert not any(began[item] for item in range(workers))  # the first of each process
        assert sum(began.values()) == 8 - workers
        order = [(e.item, e.kind) for e in events if e.kind != "tick"]
        assert all(order.index((i, "start")) < order.index((i, "result")) for i in range(8))
    assert not list(tmp_path.glob("closed *"))  # that is the task's affair


def test_who_dies_of_what_it_began_ahead_is_nobodys_failure(tmp_path: Path) -> None:
    events: list[Event] = []
    slides = [Slide(i, tmp_path) for i in range(6)]
    over(slides, read_until_it_died, 2, events.append, begin_and_die)
    ended = {e.item: e.kind for e in events if e.kind in ("result", "death")}
    assert ended == dict.fromkeys(range(6), "result") | {4: "death"}
    assert [e.item for e in events if e.kind == "start"].count(2) == 2  # it was done again


def test_whoever_stops_gives_back_what_was_begun(tmp_path: Path) -> None:
    def stop(slide: Slide, tick: Tick) -> None:
        slide.read[0]()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        over([Slide(i, tmp_path) for i in range(3)], stop, 1, lambda _: None, begin)
    assert [path.name for path in tmp_path.iterdir()] == ["closed 1"]
