"""Tiles of a slide as the page shows them: 256 px, JPEG, whatever the file's own tiles are."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import cv2
import imagecodecs
import numpy as np

from histocnn.slides.geometry import Pixels, resample
from histocnn.slides.partial import read_partly
from histocnn.slides.slide import Slide
from histocnn.viewing.frame import TILE_PX, Frame

QUALITY = 90
_MOST_PX = 2048  # side of what is read at once; a file without small levels is made small in steps
_NOT_READ = 215  # grey of what cannot be decoded


class Gone(Exception):  # noqa: N818 - no error: nobody waits any more
    """Whoever asked went away."""


def _stay() -> None:
    """Somebody waits."""


def tile(
    slide: Slide,
    frame: Frame,
    zoom: int,
    column: int,
    row: int,
    wanted: Callable[[], None] = _stay,
) -> tuple[Pixels, bool]:
    """The pixels of one tile, by the rules by which patches are read.

    Args:
        slide: Whose `mpp` are the frame's.
        frame: Its frame.
        zoom: From 0, the whole slide, to `frame.depth`.
        column: Of the tile.
        row: Of the tile.
        wanted: Raises `Gone` when nobody waits any more; asked between the parts.

    Returns:
        uint8 [256, 256, 3], white outside the slide, and whether all of it could be decoded; what
        could not is grey.

    Raises:
        UsageError: There is no such tile.
        Gone: As `wanted` says.
    """
    wanted()
    corner = frame.corner_l0(zoom, column, row)
    crops = slide.crops([corner], TILE_PX, frame.mpp_at(zoom))
    if max(crops.size_px) > _MOST_PX and zoom < frame.depth:
        return _joined(slide, frame, zoom, column, row, wanted)
    pixels, lost = read_partly(slide, crops)
    if len(lost):
        pixels = pixels.copy()
        for left, top, right, bottom in (lost - np.tile(crops.origins_px[0], 2)).tolist():
            pixels[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = _NOT_READ
    return resample(pixels, (TILE_PX, TILE_PX)), not len(lost)


def _joined(
    slide: Slide, frame: Frame, zoom: int, column: int, row: int, wanted: Callable[[], None]
) -> tuple[Pixels, bool]:
    """Make a tile of the four below it, so that little is held at a time."""
    half = TILE_PX // 2
    pixels, whole = np.full((TILE_PX, TILE_PX, 3), 255, np.uint8), True
    side = TILE_PX * frame.mpp_at(zoom + 1)
    for down in (0, 1):
        for right in (0, 1):
            below = 2 * column + right, 2 * row + down
            x, y = (at * side / mpp for at, mpp in zip(below, frame.mpp, strict=True))
            if x >= frame.size_l0[0] or y >= frame.size_l0[1]:
                continue
            part, complete = tile(slide, frame, zoom + 1, *below, wanted)
            small = cv2.resize(part, (half, half), interpolation=cv2.INTER_AREA)
            pixels[down * half : (down + 1) * half, right * half : (right + 1) * half] = small
            whole &= complete
    return pixels, whole


def jpeg(pixels: Pixels, quality: int = QUALITY) -> bytes:
    """Pixels [h, w, 3] as JPEG whose colours are as sharp as its lightness."""
    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(pixels), quality, subsampling="444"))


class Cache:
    """What was made last, in so many bytes; safe in several threads.

    Args:
        most_bytes: What is used longest ago goes when there are more.

    >>> cache = Cache(4)
    >>> cache.keep("a", b"12"), cache.keep("b", b"34"), cache.get("a"), cache.keep("c", b"5")
    (b'12', b'34', b'12', b'5')
    >>> cache.get("b"), cache.size
    (None, 3)
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes, self.size = most_bytes, 0
        self._held: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> bytes | None:
        """What was kept; None where it went."""
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def keep(self, key: Hashable, value: bytes) -> bytes:
        """Keep and give back; what is larger than the whole cache is not kept."""
        with self._lock:
            self.size -= len(self._held.pop(key, b""))
            if len(value) <= self.most_bytes:
                self._held[key] = value
                self.size += len(value)
            while self.size > self.most_bytes:
                self.size -= len(self._held.popitem(last=False)[1])
        return value
