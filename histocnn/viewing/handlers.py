"""Answers of pixels, layers and lines.

Addresses hold numbers: of a slide on the shelf, a source, a row. Nothing of a request is ever part
of a file's name.
"""

from __future__ import annotations

from histocnn.viewing import facts, outlines
from histocnn.viewing.assets import assets
from histocnn.viewing.guarded import Guarded, Refused
from histocnn.viewing.layers import values_of


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
        teaching = self.viewing.classroom is not None
        self.send_json(facts.of_shelf(self.viewing.shelf, teaching=teaching))


class Slide(Guarded):
    """One slide's frame."""

    async def get(self, number: str) -> None:
        """Describe it."""
        shelf = self.viewing.shelf
        said = await self.do(lambda _: facts.of_slide(self.viewing.opened(int(number)), shelf))
        self.send_json(said)


class Layers(Guarded):
    """What may be laid over a slide."""

    async def get(self, number: str) -> None:
        """List it."""
        shelf = self.viewing.shelf
        said = await self.do(lambda _: facts.of_layers(self.viewing.opened(int(number)), shelf))
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
        viewing = self.viewing
        made = await self.do(lambda wanted: viewing.thumbnail(int(number), wanted), viewing.openers)
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
