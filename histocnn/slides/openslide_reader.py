"""The reader of everything that OpenSlide opens."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openslide

from histocnn.slides.geometry import Pixels, Size
from histocnn.slides.readers import Reader, over_white, undecodable

DEFAULT_TILE_PX = 512  # where OpenSlide names no tile, or a strip that is none


class OpenSlideReader(Reader):
    """Everything that OpenSlide opens, one handle per process and thread.

    OpenSlide takes level-0 positions and interpolates between a level's pixels where one falls
    between; tiles are read from the nearest position that falls on a pixel.

    Args:
        path: The file.
        level_sizes: (width, height) of each level.
        properties: OpenSlide's, for the tile sizes.
    """

    name = "openslide"

    def __init__(
        self, path: Path, level_sizes: tuple[Size, ...], properties: Mapping[str, str]
    ) -> None:
        self.path, self.level_sizes = path, level_sizes
        self.tile_sizes = tuple(
            _tile_size(properties, level) for level, _ in enumerate(level_sizes)
        )
        self._local = threading.local()  # .opened: the process and its handle
        self._inherited: list[openslide.OpenSlide] = []

    def tile(self, level: int, col: int, row: int, out: Pixels | None = None) -> Pixels:
        """Give one whole native tile, as `Reader.tile` says."""
        tile_w, tile_h = self.tile_sizes[level]
        try:
            slide = self._handle()
            downsample = slide.level_downsamples[level]
            (x, skip_x), (y, skip_y) = (
                _on_pixel(col * tile_w, downsample),
                _on_pixel(row * tile_h, downsample),
            )
            size = tile_w + skip_x, tile_h + skip_y
            rgba = np.asarray(slide.read_region((x, y), level, size))
        except (openslide.OpenSlideError, OSError, MemoryError) as error:
            self._local.__dict__.clear()  # a handle that failed once fails for ever: open anew
            raise undecodable(self.path, level, col, row, error) from error
        return over_white(rgba[skip_y:, skip_x:])

    def _handle(self) -> openslide.OpenSlide:
        opened: tuple[int, openslide.OpenSlide] | None = getattr(self._local, "opened", None)
        if opened and opened[0] == os.getpid():
            return opened[1]
        if opened:  # our parent's: neither used nor closed here
            self._inherited.append(opened[1])
        slide = openslide.OpenSlide(self.path)
        self._local.opened = os.getpid(), slide
        return slide


def _tile_size(properties: Mapping[str, str], level: int) -> Size:
    w, h = (
        int(properties.get(f"openslide.level[{level}].tile-{side}", 0))
        for side in ("width", "height")
    )
    is_tile = all(64 <= side <= 4 * DEFAULT_TILE_PX for side in (w, h))
    return (w, h) if is_tile else (DEFAULT_TILE_PX, DEFAULT_TILE_PX)


def _on_pixel(start: int, downsample: float, reach: int = 16) -> tuple[int, int]:
    """A whole level-0 position at, or up to `reach` pixels before, a level's pixel `start`.

    Returns:
        The level-0 position whose place on the level is nearest to a whole pixel, and how many
        pixels of the level it lies before `start`.
    """
    candidates = range(start, max(-1, start - reach), -1)
    best = min(candidates, key=lambda px: round(abs(round(px * downsample) - px * downsample), 9))
    return round(best * downsample), start - best
