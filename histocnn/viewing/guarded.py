"""What every answer of the server shares: who may ask, threads that work, errors in one line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from tornado.log import app_log
from tornado.web import HTTPError, RequestHandler

from histocnn.errors import HistocnnError, one_line
from histocnn.viewing.at_work import Viewing
from histocnn.viewing.guard import HEADERS, refusal
from histocnn.viewing.tiles import Gone

T = TypeVar("T")
Wanted = Callable[[], None]


class Refused(HTTPError):  # noqa: N818 - an answer
    """An answer that says why there is no other.

    Args:
        status: Of HTTP.
        said: For people; may hold any letter, which a status line may not.
    """

    def __init__(self, status: int, said: str) -> None:
        super().__init__(status)
        self.said = said


class Guarded(RequestHandler):
    """Answers who may ask, in a thread, and stops where nobody waits any more."""

    viewing: Viewing
    _gone = False

    def initialize(self, viewing: Viewing) -> None:
        """Know the viewer."""
        self.viewing = viewing

    def set_default_headers(self) -> None:
        """Let the page do only what it needs."""
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Refuse strangers."""
        reason = refusal(self.request.headers, self.path_args.pop(0), self.viewing.token)
        if reason is not None:
            raise Refused(403, reason)

    def on_connection_close(self) -> None:
        """Note that nobody waits any more."""
        self._gone = True

    def wanted(self) -> None:
        """Raise `Gone` when nobody waits any more."""
        if self._gone:
            raise Gone

    async def do(self, work: Callable[[Wanted], T], pool: Executor | None = None) -> T:
        """Do something in a thread; what nobody waits for and changes nothing is not begun.

        Raises:
            Refused: 404 with what went wrong with the slide; 499 where nobody waits any more.
        """

        def begin() -> T:
            if self.request.method == "GET":
                self.wanted()
            return work(self.wanted)

        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(pool or self.viewing.others, begin)
        except Gone as gone:
            raise Refused(499, "nobody waits") from gone
        except HistocnnError as error:
            raise Refused(404, str(error)) from error

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Tell what nobody foresaw, without the request: its address holds the secret."""
        if not isinstance(value, HTTPError):
            app_log.error("the viewer could not answer", exc_info=value)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what went wrong, in one line and without a trace."""
        error = kwargs.get("exc_info", (None, None))[1]
        said = getattr(error, "said", None) or self._reason
        self.send_json({"error": one_line(str(said))})

    def send_json(self, value: Any) -> None:
        """Answer with JSON."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(value))

    def send_bytes(self, content: bytes, mime: str) -> None:
        """Answer with bytes of a kind."""
        self.set_header("Content-Type", mime)
        self.finish(content)
