"""A function over items in processes that may die."""

from __future__ import annotations

import os
import signal
import time

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
