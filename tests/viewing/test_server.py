"""The server: where it listens, and what a crowd of requests leaves behind."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer

from histocnn.errors import UsageError
from histocnn.viewing import at_work, outlines
from histocnn.viewing.at_work import Viewing
from histocnn.viewing.server import serve
from histocnn.viewing.shelf import shelve
from tests.viewing.serving import Client, serving
from tests.viewing.test_shelf import a_slide


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        viewing, port = Viewing(shelve(a_slide(tmp_path))), other.getsockname()[1]
        with pytest.raises(UsageError, match=f"--port {port} is taken"):
            asyncio.run(serve(viewing, port, print, asyncio.Event()))
        viewing.close()


def test_a_port_that_is_none_is_said(tmp_path: Path) -> None:
    viewing = Viewing(shelve(a_slide(tmp_path)))
    with pytest.raises(UsageError, match="--port 70000 cannot be used"):
        asyncio.run(serve(viewing, 70_000, print, asyncio.Event()))
    viewing.close()


def test_it_ends_and_gives_back_port_and_threads(tmp_path: Path) -> None:
    before = threading.active_count()
    with serving(Viewing(shelve(a_slide(tmp_path)))) as client:
        assert client.get("slide/0/tile/0/0/0").status == 200
        assert client.address.startswith("http://127.0.0.1:")
    assert threading.active_count() == before
    with pytest.raises(OSError, match="refused"):
        client.get("cohort")


def test_the_viewer_is_closed_though_connections_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where Ctrl-C comes again while an answer is waited for."""
    viewing, closed = Viewing(shelve(a_slide(tmp_path))), []
    monkeypatch.setattr(viewing, "close", lambda: closed.append(1))

    async def hanging(_: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(HTTPServer, "close_all_connections", hanging)

    async def run() -> None:
        stop = asyncio.Event()
        await serve(viewing, 0, lambda _: stop.set(), stop)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
    assert closed == [1]


def crowd(client: Client, requests: int, clients: int) -> list[str]:
    """Ask for tiles from several clients at once, each over its own connection; what was wrong."""
    places = [(z, c, r) for z in range(4) for c in range(2**z) for r in range(2**z)
              if c * 256 * 2 ** (3 - z) < 1400 and r * 256 * 2 ** (3 - z) < 1100]  # fmt: skip
    right = {place: client.get("slide/0/tile/{}/{}/{}".format(*place)).body for place in places}
    wrong: list[str] = []

    def ask(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
        for number in range(first, requests, clients):
            place = places[number * 7919 % len(places)]
            connection.request(
                "GET", f"/{client.viewing.token}/slide/0/tile/{place[0]}/{place[1]}/{place[2]}"
            )
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200 or body != right[place]:
                wrong.append(f"{place}: {answer.status}")
        connection.close()

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def settled(client: Client, cache_bytes: int, requests: int) -> tuple[list[str], float, int]:
    """A crowd after another: what was wrong, by how many MiB and handles the second left more."""
    client.viewing.cache.most_bytes = cache_bytes
    wrong = crowd(client, requests, 8)
    memory, files = resident_mib(), handles()
    wrong += crowd(client, requests, 8)
    deadline = time.monotonic() + 10  # the server notices that a client has gone a moment later
    while handles() > files and time.monotonic() < deadline:
        time.sleep(0.01)
    return wrong, resident_mib() - memory, handles() - files


def test_a_crowd_is_answered_rightly(client: Client) -> None:
    assert crowd(client, 200, 8) == []


@pytest.mark.slow
def test_ten_thousand_tiles_leave_nothing_behind(client: Client) -> None:
    """Half of them from a cache that is too small, so that most are made anew."""
    wrong, memory, files = settled(client, 100_000, 5_000)
    assert wrong == []
    assert memory < 20
    assert files <= 0


@pytest.mark.parametrize(
    ("module", "name", "what", "pool"),
    [(at_work, "tile", "tile/0/0/0", "drawers"), (outlines, "tissue", "outlines/tissue", "others")],
)
def test_who_goes_away_is_not_worked_for(
    client: Client, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, what: str, pool: str
) -> None:
    made, hold = [], threading.Event()
    real = getattr(module, name)

    def slowly(*arguments: object) -> object:
        made.append(1)
        hold.wait(10)
        return real(*arguments)

    monkeypatch.setattr(module, name, slowly)
    sockets = []
    for _ in range(12):  # more than there are threads
        one = socket.create_connection(("127.0.0.1", client.port))
        path = f"/{client.viewing.token}/slide/0/{what}"
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n\r\n".encode())
        sockets.append(one)
    time.sleep(0.3)
    for one in sockets:
        one.close()
    time.sleep(0.3)
    hold.set()
    assert client.get("cohort").status == 200
    monkeypatch.undo()
    assert client.get(f"slide/0/{what}").status == 200
    assert len(made) == getattr(client.viewing, pool)._max_workers  # the others never began
