"""A signal that comes while HDF5 calls back is neither lost nor another's error."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histocnn.storage import atomic, store
from histocnn.storage.signals import held
from tests.storage.test_store import BARE, COORDS


class Ended(SystemExit):
    """What the handler raises, as the command line's does."""


@pytest.fixture(params=[signal.SIGTERM, signal.SIGINT])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    def end(number: int, frame: object) -> None:
        raise Ended

    before = signal.signal(request.param, end)
    yield request.param
    signal.signal(request.param, before)


def _write(folder: Path) -> None:
    store.write(folder / "a.h5", {"coords": COORDS, "texts": ["a", "ü"]}, BARE)


def _stream(folder: Path) -> None:
    columns = {"features": ((3,), np.float32, np.nan)}
    with store.Writer(folder / "a.h5", 4, columns, BARE, copy={"coords": COORDS[:4]}) as writer:
        writer.put([0, 1], {"features": np.ones((2, 3))})


@pytest.mark.parametrize("make", [_write, _stream])
def test_a_signal_in_any_of_hdf5s_calls_ends_the_work_and_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    make: Callable[[Path], None],
) -> None:
    calls, deadly = 0, -1

    def counted(name: str) -> Callable[..., Any]:
        method = getattr(atomic.RawFile, name)

        def call(self: atomic.RawFile, *arguments: Any) -> Any:
            nonlocal calls
            if threading.current_thread() is threading.main_thread():
                if calls == deadly:
                    # Python forgets where it found the class's methods, as it does now and then:
                    # looking for `flush` in HDF5's next call it clears the handler's exception.
                    monkeypatch.setattr(atomic.RawFile, "changed", deadly, raising=False)
                    os.kill(os.getpid(), number)
                calls += 1
            return method(self, *arguments)

        return call

    for name in ("seek", "write", "readinto", "truncate", "tell"):
        monkeypatch.setattr(atomic.RawFile, name, counted(name))
    make(tmp_path)
    assert calls > 5
    (tmp_path / "a.h5").unlink()
    for deadly in range(calls):
        calls = 0
        with pytest.raises(Ended):
            make(tmp_path)
        assert [path for path in tmp_path.iterdir() if path.suffix == ".tmp"] == [], deadly
        (tmp_path / "a.h5").unlink(missing_ok=True)


def test_what_is_held_comes_at_the_end_and_the_handler_is_back(number: signal.Signals) -> None:
    handler, reached = signal.getsignal(number), []

    def work() -> None:
        with held():
            os.kill(os.getpid(), number)
            with held():
                reached.append("inner")
            reached.append("outer")

    with pytest.raises(Ended):
        work()
    assert reached == ["inner", "outer"]
    assert signal.getsignal(number) is handler


def test_in_other_threads_nothing_is_held() -> None:
    def other() -> None:
        with held():
            found.append(signal.getsignal(signal.SIGTERM))

    found: list[Any] = []
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]
