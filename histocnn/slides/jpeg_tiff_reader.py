"""The fast reader: TIFF of JPEG or JPEG 2000 tiles, without OpenSlide where it gives its pixels."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from histocnn.slides.buffers import BUFFERS
from histocnn.slides.geometry import Pixels, Size
from histocnn.slides.jpeg_damage import is_damaged
from histocnn.slides.readers import WHITE, Reader, undecodable, unreadable

FAST_VENDORS = ("generic-tiff", "aperio")
# RGB alone: what OpenSlide makes of Aperio's JPEG 2000 in YCbCr has not been compared.
_JPEG_2000 = tifffile.COMPRESSION.APERIO_JP2000_RGB


class TileTable(NamedTuple):
    """Where a level's tiles are in the file, row by row, and how to decode them."""

    offsets: NDArray[np.int64]
    counts: NDArray[np.int64]
    columns: int
    tables: bytes | None
    colour_space: str
    is_jpeg_2000: bool


class JpegTiffReader(Reader):
    """Tiled TIFF, read with `os.pread`, decoded by libjpeg-turbo or OpenJPEG without the GIL.

    Nothing is shared between threads but the file descriptor, which `pread` never moves. A level's
    pixels are the file's at every downsample; OpenSlide, which is asked in level-0 positions,
    interpolates between them where the downsample is no whole number (`geometry` places patches
    on whole pixels of the level, so that nothing has to).

    Args:
        path: The file.
        level_sizes: (width, height) of each level.
        tile_sizes: (width, height) of each level's tiles.
        tables: Each level's tiles.

    Raises:
        SlideError: The file is gone.
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
        try:
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:  # its tiles were listed a moment ago
            raise unreadable(path, error) from error
        weakref.finalize(self, os.close, self._file)

    def tile(self, level: int, col: int, row: int, out: Pixels | None = None) -> Pixels:
        """Give one whole native tile, as `Reader.tile` says."""
        table, (tile_w, tile_h) = self._tables[level], self.tile_sizes[level]
        index = row * table.columns + col
        count = int(table.counts[index])
        if not count:  # a sparse slide: never scanned
            return np.full((tile_h, tile_w, 3), WHITE, np.uint8)
        room = BUFFERS.array((tile_h, tile_w, 3)) if out is None else out
        try:
            data = self._bytes(level, col, row)
            pixels = _decoded(data, table, room)
        except (OSError, RuntimeError, ValueError) as error:
            raise undecodable(self.path, level, col, row, error) from error
        if len(data) != count or pixels.shape != (tile_h, tile_w, 3) or pixels.dtype != np.uint8:
            raise undecodable(self.path, level, col, row, "cut short or of another size")
        return pixels

    def is_damaged(self, level: int, col: int, row: int, pixels: Pixels) -> bool:
        """Whether the tile's bytes are not those that were written, as `Reader.is_damaged` says."""
        table = self._tables[level]
        if table.is_jpeg_2000:  # `jpeg_damage` knows JPEG's scans alone
            return super().is_damaged(level, col, row, pixels)
        data = self._bytes(level, col, row)
        return len(data) > 0 and is_damaged(
            data, table.tables, pixels, lambda other: _decoded(other, table)
        )

    def _bytes(self, level: int, col: int, row: int) -> bytes:
        table = self._tables[level]
        index = row * table.columns + col
        return os.pread(self._file, int(table.counts[index]), int(table.offsets[index]))


def _decoded(data: bytes, table: TileTable, out: Pixels | None = None) -> Pixels:
    pixels: Pixels
    if table.is_jpeg_2000:
        pixels = imagecodecs.jpeg2k_decode(data, numthreads=1, out=out)
        return pixels
    pixels = imagecodecs.jpeg8_decode(
        data, tables=table.tables, colorspace=table.colour_space, outcolorspace="RGB", out=out
    )
    return pixels


def jpeg_tiff_reader(
    path: Path, vendor: str, level_sizes: tuple[Size, ...]
) -> JpegTiffReader | None:
    """The fast reader where it gives what OpenSlide would, else None.

    That is where the vendor is generic-tiff or aperio, every tile is 8-bit RGB or YCbCr JPEG (or an
    Aperio's RGB JPEG 2000), the levels are the file's tiled directories, and no tile is missing
    above an Aperio's level 0 (OpenSlide fills those from the level below).
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
            if not all(_is_plain(page, vendor) for page in pages):
                return None
            tile_sizes = tuple((int(page.tilewidth), int(page.tilelength)) for page in pages)
            tables = tuple(_tile_table(page) for page in pages)
    except Exception:  # tifffile's errors are of many kinds, and OpenSlide has opened this file
        return None
    if vendor == "aperio" and any((table.counts == 0).any() for table in tables[1:]):
        return None
    return JpegTiffReader(path, level_sizes, tile_sizes, tables)


def _is_plain(page: Any, vendor: str) -> bool:
    is_jpeg_2000 = page.compression == _JPEG_2000 and vendor == "aperio"
    return (
        (page.compression == tifffile.COMPRESSION.JPEG or is_jpeg_2000)
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
    space, is_jpeg_2000 = "RGB" if is_rgb else "YCBCR", page.compression == _JPEG_2000
    return TileTable(offsets, counts, columns, page.jpegtables, space, is_jpeg_2000)
