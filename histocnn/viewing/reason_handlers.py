"""Answers to "why": a patch, its neighbours, what a network sees in it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import UsageError
from histocnn.viewing import network, reasons
from histocnn.viewing.guarded import Guarded, Refused
from histocnn.viewing.opened import Opened
from histocnn.viewing.tiles import jpeg


class OfPatch(Guarded):
    """An answer about a patch of a slide."""

    async def picture(self, number: str, make: Callable[[Opened], NDArray[np.uint8]]) -> None:
        """Give a picture as JPEG."""
        made = await self.do(lambda _: jpeg(make(self.viewing.opened(int(number)))))
        self.send_bytes(made, "image/jpeg")

    def network(self) -> network.Network:
        """The network that was given.

        Raises:
            UsageError: None was.
        """
        if self.viewing.network is None:
            raise UsageError("no model was given", "Start the viewer with --model.")
        return self.viewing.network


class Why(OfPatch):
    """What there is to say of a patch."""

    async def get(self, number: str, source: str) -> None:
        """Say it, of the patch at the level-0 point x, y."""
        try:
            x, y = (float(self.get_query_argument(name)) for name in ("x", "y"))
        except ValueError as error:
            raise Refused(400, "a point is two numbers, x and y") from error
        viewing = self.viewing
        said = await self.do(
            lambda _: reasons.why(
                viewing.opened(int(number)), int(source), x, y, viewing.references
            )
        )
        self.send_json({**said, "network": viewing.network is not None})


class Patch(OfPatch):
    """A patch's pixels."""

    async def get(self, number: str, source: str, row: str) -> None:
        """Give them."""
        await self.picture(number, lambda opened: reasons.patch(opened, int(source), int(row)))


class Neighbour(OfPatch):
    """The pixels of a labelled patch."""

    async def get(self, number: str, source: str, row: str, rank: str) -> None:
        """Give those of the neighbour of a rank."""
        asked = int(source), int(row), int(rank)
        known = self.viewing.references
        await self.picture(number, lambda opened: reasons.neighbour(opened, *asked, known))


class Network(OfPatch):
    """The network."""

    async def get(self) -> None:
        """Name its classes."""
        self.send_json(await self.do(lambda _: self.network().facts()))


class Because(OfPatch):
    """A class activation map."""

    async def get(self, number: str, source: str, row: str, index: str) -> None:
        """Give it over the patch."""
        await self.picture(
            number,
            lambda opened: self.network().because(opened.file(int(source)), int(row), int(index)),
        )


class Channels(OfPatch):
    """The channels that a patch excites most."""

    async def get(self, number: str, source: str, row: str) -> None:
        """List them."""
        said = await self.do(
            lambda _: self.network().channels(
                self.viewing.opened(int(number)).file(int(source)), int(row)
            )
        )
        self.send_json(said)


class Channel(OfPatch):
    """Where a patch excites a channel."""

    async def get(self, number: str, source: str, row: str, channel: str) -> None:
        """Give it over the patch."""
        await self.picture(
            number,
            lambda opened: self.network().channel(opened.file(int(source)), int(row), int(channel)),
        )
