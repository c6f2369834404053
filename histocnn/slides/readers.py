"""Pixels of a level, from three kinds of file behind one protocol.

A reader knows its levels and their native tiles, and nothing of µm or patches. Whatever lies
outside the level, is transparent or was never stored is white.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import imagecodecs
import numpy as np
import openslide
import tifffile
from numpy.typing import NDArray

from histocnn.errors import ReadError, SlideError
from histocnn.slides.geometry import Pixels, Size

WHITE = 255
FAST_VENDORS = ("generic-tiff", "aperio")
DEFAULT_TILE_PX = 512  # where OpenSlide names no tile, or a strip that is none


class Reader(Protocol):
    """What reads a slide: safe in several threads, and after a fork.

    Attributes:
        name: What `doctor` calls it.
        level_sizes: (width, height) of each level, level 0 first.
        tile_sizes: (width, height) of each level's native tiles: what is decoded at once.
    """

    name: str
    level_sizes: tuple[Size, ...]
    tile_sizes: tuple[Size, ...]

    def tile(self, level: int, col: int, row: int) -> Pixels:
        """One whole native tile, uint8 [tile height, tile width, 3].

        Raises:
            ReadError: The tile cannot be read or decoded.
        """
        ...

    def read(self, level: int, x: int, y: int, w: int, h: int) -> Pixels:
        """A rectangle in the level's own whole pixels, anywhere: uint8 [h, w, 3].

        Raises:
            ReadError: A tile of it cannot be read or decoded.
        """
        return mosaic(
            lambda col, row: self.tile(level, col, row),
            self.level_sizes[level],
            self.tile_sizes[level],
            (x, y),
            np.empty((h, w, 3), np.uint8),
        )


def mosaic(
    tile: Callable[[int, int], Pixels], level_size: Size, tile_size: Size, xy: Size, out: Pixels
) -> Pixels:
    """Fill `out` [h, w, 3], whose top left is the level's pixel `xy`, from tiles.

    Args:
        tile: Gives the pixels of the tile in a column and row; asked once for each that is needed.
        level_size: Width and height of the level; white is outside.
        tile_size: Width and height of a tile.
        xy: Where `out` begins.
        out: Is written to and returned.
    """
    (x, y), (tile_w, tile_h) = xy, tile_size
    h, w = out.shape[:2]
    right, bottom = min(x + w, level_size[0]), min(y + h, level_size[1])
    if x < 0 or y < 0 or right < x + w or bottom < y + h:
        out[:] = WHITE
    if right <= x or bottom <= y:
        return out
    for row in range(max(y, 0) // tile_h, -(-bottom // tile_h)):
        for col in range(max(x, 0) // tile_w, -(-right // tile_w)):
            paste(tile(col, row), (col * tile_w, row * tile_h), level_size, out, xy)
    return out


def paste(tile: Pixels, tile_xy: Size, level_size: Size, out: Pixels, xy: Size) -> None:
    """Copy to `out` (contiguous, at the pixel `xy` of the level) what it shares with a tile."""
    (tile_x, tile_y), (x, y) = tile_xy, xy
    left, top = max(tile_x, x), max(tile_y, y)
    right = min(tile_x + tile.shape[1], x + out.shape[1], level_size[0])
    bottom = min(tile_y + tile.shape[0], y + out.shape[0], level_size[1])
    # As rows of bytes: numpy copies [h, w, 3] up to nine times slower, three bytes at a time.
    to, given = out.reshape(len(out), -1), tile.reshape(len(tile), -1)
    to[top - y : bottom - y, 3 * (left - x) : 3 * (right - x)] = given[
        top - tile_y : bottom - tile_y, 3 * (left - tile_x) : 3 * (right - tile_x)
    ]


class TileTable(NamedTuple):
    """Where a level's JPEG tiles are in the file, row by row, and how to decode them."""

    offsets: NDArray[np.int64]
    counts: NDArray[np.int64]
    columns: int
    tables: bytes | None
    colour_space: str


class JpegTiffReader(Reader):
    """Tiled JPEG TIFF, read with `os.pread` and decoded by libjpeg-turbo without the GIL.

    Nothing is shared between threads but the file descriptor, which `pread` never moves.

    Args:
        path: The file.
        level_sizes: (width, height) of each level.
        tile_sizes: (width, height) of each level's tiles.
        tables: Each level's tiles.
    """

    name = "jpeg-tiff"

    def __init__(
        self,
        path: Path,
        level_sizes: tuple[Size, ...],
        tile_sizes: tuple[Size, ...],
        tables: tuple[TileTable, ...],
    ) -> None:
        self.path, self.level_sizes, self.tile_sizes = path, level_sizes, tile_sizes
        self._tables = tables
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def tile(self, level: int, col: int, row: int) -> Pixels:
        """See `Reader.tile`."""
        table, (tile_w, tile_h) = self._tables[level], self.tile_sizes[level]
        index = row * table.columns + col
        count = int(table.counts[index])
        if not count:  # a sparse slide: never scanned
            return np.full((tile_h, tile_w, 3), WHITE, np.uint8)
        try:
            data = os.pread(self._file, count, int(table.offsets[index]))
            pixels: Pixels = imagecodecs.jpeg8_decode(
                data, tables=table.tables, colorspace=table.colour_space, outcolorspace="RGB"
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise _unreadable(self.path, level, col, row, error) from error
        if len(data) != count or pixels.shape != (tile_h, tile_w, 3):
            raise _unreadable(self.path, level, col, row, "cut short or of another size")
        return pixels


def jpeg_tiff_reader(
    path: Path, vendor: str, level_sizes: tuple[Size, ...]
) -> JpegTiffReader | None:
    """The fast reader where it gives what OpenSlide would, else None.

    That is where the vendor is generic-tiff or aperio, every tile is 8-bit RGB or YCbCr JPEG, the
    levels are the file's tiled directories, and no tile is missing above an Aperio's level 0
    (OpenSlide fills those from the level below).
    """
    if vendor not in FAST_VENDORS:
        return None
    try:
        with tifffile.TiffFile(path) as tiff:
            pages: list[Any] = list(tiff.pages)
            pages = [page for page in pages if page.is_tiled]
            pages.sort(key=lambda page: -page.imagewidth)
            if tuple((page.imagewidth, page.imagelength) for page in pages) != level_sizes:
                return None
            if not all(_is_plain_jpeg(page) for page in pages):
                return None
            tile_sizes = tuple((int(page.tilewidth), int(page.tilelength)) for page in pages)
            tables = tuple(_tile_table(page) for page in pages)
    except Exception:  # tifffile's errors are of many kinds, and OpenSlide has opened this file
        return None
    if vendor == "aperio" and any((table.counts == 0).any() for table in tables[1:]):
        return None
    return JpegTiffReader(path, level_sizes, tile_sizes, tables)


def _is_plain_jpeg(page: Any) -> bool:
    return (
        page.compression == tifffile.COMPRESSION.JPEG
        and page.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
        and page.planarconfig == tifffile.PLANARCONFIG.CONTIG
        and page.samplesperpixel == 3
        and page.bitspersample == 8
        and page.imagedepth == 1
    )


def _tile_table(page: Any) -> TileTable:
    columns, rows = -(-page.imagewidth // page.tilewidth), -(-page.imagelength // page.tilelength)
    offsets = np.array(page.dataoffsets, np.int64)
    counts = np.array(page.databytecounts, np.int64)
    if not len(offsets) == len(counts) == columns * rows:
        raise ValueError("the tile table does not cover the image")
    is_rgb = page.photometric == tifffile.PHOTOMETRIC.RGB  # Aperio's: no colour transform
    return TileTable(offsets, counts, columns, page.jpegtables, "RGB" if is_rgb else "YCBCR")


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

    def tile(self, level: int, col: int, row: int) -> Pixels:
        """See `Reader.tile`."""
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
            raise _unreadable(self.path, level, col, row, error) from error
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
    w, h = (int(properties.get(f"openslide.level[{level}].tile-{side}", 0)) for side in _SIDES)
    is_tile = all(64 <= side <= 4 * DEFAULT_TILE_PX for side in (w, h))
    return (w, h) if is_tile else (DEFAULT_TILE_PX, DEFAULT_TILE_PX)


_SIDES = ("width", "height")


def _on_pixel(start: int, downsample: float, reach: int = 16) -> tuple[int, int]:
    """A whole level-0 position at, or up to `reach` pixels before, a level's pixel `start`.

    Returns:
        The level-0 position whose place on the level is nearest to a whole pixel, and how many
        pixels of the level it lies before `start`.
    """
    candidates = range(start, max(-1, start - reach), -1)
    best = min(candidates, key=lambda px: round(abs(round(px * downsample) - px * downsample), 9))
    return round(best * downsample), start - best


def over_white(rgba: NDArray[np.uint8]) -> Pixels:
    """Lay RGBA [h, w, 4] on white: uint8 [h, w, 3]."""
    alpha = rgba[..., 3:]
    if (alpha == 255).all():
        return np.ascontiguousarray(rgba[..., :3])
    share = alpha.astype(np.float32) / 255
    blended: Pixels = np.rint(rgba[..., :3] * share + WHITE * (1 - share)).astype(np.uint8)
    return blended


def not_openable(path: Path, found: object) -> SlideError:
    """The error for a file that nobody can open."""
    text = " ".join(str(found).split()) or type(found).__name__
    return SlideError(
        f"{path}: cannot be opened as a slide ({text})",
        "Check that the file is whole, or convert it to a tiled TIFF",
    )


def _unreadable(path: Path, level: int, col: int, row: int, found: object) -> ReadError:
    text = " ".join(str(found).split())
    return ReadError(
        f"{path}: tile column {col}, row {row} of level {level} cannot be decoded ({text})",
        "Copy the slide again if the original is whole",
    )
