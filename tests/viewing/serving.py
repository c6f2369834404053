"""A viewer that answers in a thread of the test's own process."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from histocnn.viewing.at_work import Viewing
from histocnn.viewing.server import serve


@dataclass
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """Asks a viewer, one connection a request."""

    viewing: Viewing
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self.viewing.token}/"

    def raw(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
        """Ask for a path as it is; `Host_` is the header Host."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {name.strip("_").replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.putrequest(method, path, skip_host="Host" in named)
            for name, value in named.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), dict(answer.getheaders()))
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a path below the secret."""
        return self.raw(f"/{self.viewing.token}/{path}", **headers)

    def post(self, path: str, value: Any, **headers: str) -> Answer:
        """Send JSON to a path below the secret."""
        said = {"Content_Type": "application/json", **headers}
        return self.raw(f"/{self.viewing.token}/{path}", "POST", json.dumps(value).encode(), **said)


@contextmanager
def serving(viewing: Viewing) -> Iterator[Client]:
    """Serve until the block ends."""
    came, stop = threading.Event(), asyncio.Event()
    found: list[str] = []
    loop = asyncio.new_event_loop()

    def ready(address: str) -> None:
        found.append(address)
        came.set()

    def work() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(serve(viewing, 0, ready, stop))
        finally:
            came.set()
            loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert came.wait(30)
    try:
        yield Client(viewing, int(found[0].split(":")[2].split("/")[0]))
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
