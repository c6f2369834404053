"""What a running viewer knows: its slides, its secret, what it made last, who works for it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor

from histocnn.errors import UsageError
from histocnn.viewing.guard import new_token
from histocnn.viewing.opened import Desk, Opened
from histocnn.viewing.outlines import share_of_tissue
from histocnn.viewing.shelf import Shelf
from histocnn.viewing.tiles import Cache, jpeg, tile

CACHE_BYTES = 96 * 2**20  # of tiles, 40 kB each
THUMBNAIL_QUALITY = 80


class Viewing:
    """A viewer of a shelf's slides.

    Args:
        shelf: The slides.

    Attributes:
        desk: The slides that are open.
        token: The secret of its address.
        cache: Tiles and thumbnails that were made last.
        drawers: Threads that make tiles.
        others: Threads that do all else.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf, self.desk, self.token = shelf, Desk(shelf), new_token()
        self.cache = Cache(CACHE_BYTES)
        threads = max(2, min(4, len(os.sched_getaffinity(0))))
        self.drawers = ThreadPoolExecutor(threads, thread_name_prefix="drawer")
        self.others = ThreadPoolExecutor(2, thread_name_prefix="viewer")

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
        """End its threads and give back its slides."""
        self.drawers.shutdown(cancel_futures=True)
        self.others.shutdown(cancel_futures=True)
        self.desk.close()
