"""What a running viewer knows: its slides, its secret, what it made last, who works for it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from histocnn.errors import UsageError
from histocnn.viewing.classroom import Classroom, Lesson
from histocnn.viewing.guard import new_token
from histocnn.viewing.network import Network
from histocnn.viewing.opened import Desk, Opened
from histocnn.viewing.outlines import share_of_tissue
from histocnn.viewing.reasons import References
from histocnn.viewing.shelf import Shelf
from histocnn.viewing.tiles import Cache, jpeg, tile

CACHE_BYTES = 96 * 2**20  # of tiles, 40 kB each
THUMBNAIL_QUALITY = 80


@dataclass(frozen=True)
class Asked:
    """What may be asked beside the slides.

    Attributes:
        references: Folders in which labelled features may lie.
        model: A model.safetensors that is asked what it sees.
        backbone: Of somebody's own network its package.module:Class.
        lesson: Where teaching goes; None: nothing can be changed.
    """

    references: Sequence[Path] = ()
    model: Path | None = None
    backbone: str | None = None
    lesson: Lesson | None = None


class Viewing:
    """A viewer of a shelf's slides.

    Args:
        shelf: The slides.
        asked: What may be asked beside them.

    Attributes:
        desk: The slides that are open.
        token: The secret of its address.
        references: Labelled features that scores name.
        network: What is asked what it sees; None where no model was given.
        classroom: Sessions of teaching; None where nothing can be changed.
        cache: Tiles and thumbnails that were made last.
        drawers: Threads that make tiles.
        openers: A thread for thumbnails, for which many slides are opened.
        others: Threads that do all else.
        last_words: What became of labels that nobody had saved when it was closed; for people.
    """

    def __init__(self, shelf: Shelf, asked: Asked | None = None) -> None:
        asked = asked or Asked()
        self.shelf, self.desk, self.token = shelf, Desk(shelf), new_token()
        self.references = References(asked.references, self.desk)
        self.classroom = Classroom(self.desk, asked.lesson) if asked.lesson else None
        self.network = Network(asked.model, asked.backbone) if asked.model else None
        self.cache = Cache(CACHE_BYTES)
        threads = max(2, min(4, len(os.sched_getaffinity(0))))
        self.drawers = ThreadPoolExecutor(threads, thread_name_prefix="drawer")
        self.openers = ThreadPoolExecutor(1, thread_name_prefix="opener")
        self.others = ThreadPoolExecutor(2, thread_name_prefix="viewer")
        self.last_words: list[str] = []

    def opened(self, number: int) -> Opened:
        """The slide of a number.

        Raises:
            UsageError: There is none.
            HistocnnError: As `open_listed`.
        """
        if number >= len(self.shelf.slides):
            raise UsageError(f"there is no slide {number}")
        return self.desk.opened(number)

    def tile(
        self, number: int, place: tuple[int, int, int], wanted: Callable[[], None]
    ) -> tuple[bytes, bool]:
        """A tile as JPEG, and whether all of it could be decoded.

        Args:
            number: Of the slide.
            place: Zoom, column and row.
            wanted: Raises `Gone` when nobody waits any more.

        Raises:
            UsageError: There is no such tile.
            HistocnnError: As `open_listed`.
            Gone: As `wanted` says.
        """
        wanted()
        key: Hashable = ("tile", number, *place)
        if (kept := self.cache.get(key)) is not None:
            return kept, True
        opened = self.opened(number)
        pixels, whole = tile(opened.slide, opened.frame, *place, wanted)
        made = jpeg(pixels)
        # What could not be read now may be there the next time.
        return (self.cache.keep(key, made) if whole else made), whole

    def thumbnail(self, number: int, wanted: Callable[[], None]) -> bytes:
        """The whole slide, small, as JPEG; arguments and errors as of `tile`."""
        wanted()
        key: Hashable = ("thumbnail", number)
        if (kept := self.cache.get(key)) is not None:
            return kept
        opened = self.opened(number)
        pixels, whole = tile(opened.slide, opened.frame, 0, 0, 0, wanted)
        w, h = (math.ceil(side / 2**opened.frame.depth) for side in opened.frame.size_px)
        made = jpeg(pixels[:h, :w], THUMBNAIL_QUALITY)
        return self.cache.keep(key, made) if whole else made

    def tissue(self, number: int, wanted: Callable[[], None]) -> bytes:
        """How much of the slide is tissue, as the alpha of a PNG; errors as of `tile`."""
        wanted()
        key: Hashable = ("tissue", number)
        kept = self.cache.get(key)
        return kept or self.cache.keep(key, share_of_tissue(self.opened(number)))

    def close(self) -> None:
        """End its threads, save what was taught and give back its slides."""
        try:
            for pool in (self.drawers, self.openers, self.others):
                pool.shutdown(cancel_futures=True)
        finally:  # somebody may not want to wait
            self.last_words = self.classroom.close() if self.classroom else []
            self.desk.close()
