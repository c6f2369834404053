"""What is answered under which address; every answer passes `guard.refusal` first.

Addresses hold numbers: of a slide on the shelf, a source, a row. Nothing of a request is ever part
of a file's name.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from tornado.web import Application, HTTPError, RequestHandler

from histocnn.errors import HistocnnError, UsageError, one_line
from histocnn.viewing import facts, outlines
from histocnn.viewing.assets import assets
from histocnn.viewing.at_work import Viewing
from histocnn.viewing.guard import HEADERS, refusal
from histocnn.viewing.layers import values_of
from histocnn.viewing.tiles import Gone

T = TypeVar("T")
Wanted = Callable[[], None]
_NUMBER = r"(\d{1,9})"


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
        """Do something in a thread.

        Raises:
            Refused: 404 with what went wrong with the slide; 499 where nobody waits any more.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(pool or self.viewing.others, work, self.wanted)
        except Gone as gone:
            raise Refused(499, "nobody waits") from gone
        except HistocnnError as error:
            raise Refused(404, str(error)) from error

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


class Page(Guarded):
    """The page's own files, by a table of their names."""

    async def get(self, name: str = "") -> None:
        """Give one."""
        found = assets().get(name or "index.html")
        if found is None:
            raise Refused(404, "the page has no such part")
        self.send_bytes(found.content, found.mime)


class Cohort(Guarded):
    """All slides."""

    async def get(self) -> None:
        """List them."""
        self.send_json(facts.of_shelf(self.viewing.shelf))


class Slide(Guarded):
    """One slide's frame and layers."""

    async def get(self, number: str) -> None:
        """Describe it."""
        shelf = self.viewing.shelf
        said = await self.do(lambda _: facts.of_slide(self.viewing.opened(int(number)), shelf))
        self.send_json(said)


class Tile(Guarded):
    """A tile's pixels."""

    async def get(self, number: str, zoom: str, column: str, row: str) -> None:
        """Give it as JPEG; the header says if not all of it could be decoded."""
        place = int(zoom), int(column), int(row)
        content, whole = await self.do(
            lambda wanted: self.viewing.tile(int(number), place, wanted), self.viewing.drawers
        )
        if not whole:
            self.set_header("X-Not-Read", "1")
        self.send_bytes(content, "image/jpeg")


class Thumbnail(Guarded):
    """The whole slide, small."""

    async def get(self, number: str) -> None:
        """Give it as JPEG."""
        made = await self.do(lambda wanted: self.viewing.thumbnail(int(number), wanted))
        self.send_bytes(made, "image/jpeg")


class Tissue(Guarded):
    """How much of each place is tissue."""

    async def get(self, number: str) -> None:
        """Give it as the alpha of a PNG."""
        made = await self.do(lambda wanted: self.viewing.tissue(int(number), wanted))
        self.send_bytes(made, "image/png")


class Outlines(Guarded):
    """Lines over the slide."""

    async def get(self, number: str, what: str) -> None:
        """Give the rings of the tissue, or of annotations."""
        make = outlines.tissue if what == "tissue" else outlines.drawn
        self.send_json(await self.do(lambda _: make(self.viewing.opened(int(number)))))


class Values(Guarded):
    """What every cell of a layer is."""

    async def get(self, number: str, source: str, key: str) -> None:
        """Give two bytes a cell, the lower first, row by row."""
        made = await self.do(
            lambda _: values_of(self.viewing.opened(int(number)), int(source), key).astype("<u2")
        )
        self.send_bytes(made.tobytes(), "application/octet-stream")


class Nothing(Guarded):
    """Any other address."""

    async def get(self, *_: str) -> None:
        """Say that there is none."""
        raise Refused(404, "there is nothing at this address")


def point_of(handler: RequestHandler) -> tuple[float, float]:
    """The level-0 point that a request asks about.

    Raises:
        UsageError: It names none.
    """
    try:
        return float(handler.get_query_argument("x")), float(handler.get_query_argument("y"))
    except ValueError as error:
        raise UsageError("a point is two numbers, x and y") from error


def application(viewing: Viewing) -> Application:
    """Every address of a viewer."""
    token, slide = r"/([^/]*)", rf"/slide/{_NUMBER}"
    routes: list[tuple[str, type[Guarded]]] = [
        (rf"{token}/", Page),
        (rf"{token}/page/([a-z_.]+)", Page),
        (rf"{token}/cohort", Cohort),
        (rf"{token}{slide}", Slide),
        (rf"{token}{slide}/tile/{_NUMBER}/{_NUMBER}/{_NUMBER}", Tile),
        (rf"{token}{slide}/thumbnail", Thumbnail),
        (rf"{token}{slide}/tissue", Tissue),
        (rf"{token}{slide}/outlines/(tissue|annotations)", Outlines),
        (rf"{token}{slide}/values/{_NUMBER}/([a-z]+\d*)", Values),
        (rf"{token}(?:/.*)?", Nothing),
        (r"(.*)", Nothing),
    ]
    return Application(
        [(address, handler, {"viewing": viewing}) for address, handler in routes],
        log_function=lambda _: None,
    )
