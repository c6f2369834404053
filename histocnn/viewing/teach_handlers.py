"""Answers to who teaches: the only ones that change anything, and only where teaching is on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from histocnn.viewing.classroom import Classroom
from histocnn.viewing.guarded import Guarded, Refused


class Taught(Guarded):
    """An answer about a slide's session."""

    def prepare(self) -> None:
        """Refuse strangers, and everybody where teaching is off."""
        super().prepare()
        if self.viewing.classroom is None:
            raise Refused(405, "this viewer is read-only: start it with --teach FOLDER")

    @property
    def classroom(self) -> Classroom:
        """The sessions."""
        assert self.viewing.classroom is not None  # noqa: S101 - as `prepare` found
        return self.viewing.classroom

    def body(self) -> dict[str, Any]:
        """What was sent, as JSON.

        Raises:
            Refused: It is no JSON object, or not said to be one: a form of another page.
        """
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip()
        if kind != "application/json":
            raise Refused(415, "send JSON")
        try:
            said = json.loads(self.request.body)
        except (ValueError, RecursionError) as error:
            raise Refused(400, "this is no JSON") from error
        if not isinstance(said, dict):
            raise Refused(400, "this is no JSON object")
        return said

    async def say(self, work: Callable[[], Any]) -> None:
        """Answer with what came of something."""
        self.send_json(await self.do(lambda _: work()))


class State(Taught):
    """What has been said."""

    async def get(self, number: str) -> None:
        """Give it; begins the session."""
        await self.say(lambda: self.classroom.state(int(number)))


class Tell(Taught):
    """Labels."""

    async def post(self, number: str) -> None:
        """Take them."""
        said = self.body()
        await self.say(lambda: self.classroom.tell(int(number), said))


class Undo(Taught):
    """The last act."""

    async def post(self, number: str) -> None:
        """Take it back."""
        turns = self.body().get("turns")
        await self.say(lambda: self.classroom.undo(int(number), turns))


class Save(Taught):
    """The session's files."""

    async def post(self, number: str) -> None:
        """Write them."""
        self.body()
        await self.say(lambda: self.classroom.save(int(number)))


class Suggest(Taught):
    """Where to look next."""

    async def get(self, number: str) -> None:
        """List it."""
        rule = self.get_query_argument("rule", "combined")
        await self.say(lambda: self.classroom.suggest(int(number), rule))


class TaughtValues(Taught):
    """What every cell of the taught map is."""

    async def get(self, number: str, key: str) -> None:
        """Give two bytes a cell, the lower first, row by row."""
        made = await self.do(lambda _: self.classroom.values(int(number), key).astype("<u2"))
        self.send_bytes(made.tobytes(), "application/octet-stream")
