"""Pixels of a level: one protocol for every kind of file, and what all its readers share.

A reader knows its levels and their native tiles, and nothing of µm or patches. Whatever lies
outside the level, is transparent or was never stored is white.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import ReadError, SlideError
from histocnn.slides.geometry import Pixels, Size
from histocnn.slides.jpeg_damage import ends_grey

WHITE = 255

Box = tuple[int, int, int, int]  # left, top, right, bottom on a level, px


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

    def tile(self, level: int, col: int, row: int, out: Pixels | None = None) -> Pixels:
        """Decode one whole native tile, uint8 [tile height, tile width, 3].

        Args:
            level: Its level.
            col: Its column.
            row: Its row.
            out: Contiguous memory of its shape, which a reader may write to and return.

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

    def is_damaged(self, level: int, col: int, row: int, pixels: Pixels) -> bool:
        """Whether a tile that was decoded is not what its encoder wrote, as far as can be told.

        Args:
            level: Its level.
            col: Its column.
            row: Its row.
            pixels: What `tile` gave.
        """
        (w, h), (tile_w, tile_h) = self.level_sizes[level], self.tile_sizes[level]
        return ends_grey(pixels[: h - row * tile_h, : w - col * tile_w])


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
    lines, box = as_lines(out), (x, y, right, bottom)
    for row in range(max(y, 0) // tile_h, -(-bottom // tile_h)):
        for col in range(max(x, 0) // tile_w, -(-right // tile_w)):
            tile_box = (col * tile_w, row * tile_h, (col + 1) * tile_w, (row + 1) * tile_h)
            paste(as_lines(tile(col, row)), tile_box, lines, box)
    return out


def as_lines(pixels: Pixels) -> Pixels:
    """The same memory as [h, 3 w]: numpy copies [h, w, 3] up to nine times slower."""
    return pixels.reshape(len(pixels), -1)


def paste(lines: Pixels, box: Box, to: Pixels, to_box: Box) -> None:
    """Copy what two pictures of a level share from one to the other.

    Args:
        lines: Pixels as `as_lines` gives them.
        box: Where they lie on the level.
        to: Is written to, likewise.
        to_box: Where it lies; of either no more is taken than its box.
    """
    x, y, x_end, y_end = box
    to_x, to_y, to_x_end, to_y_end = to_box
    # No min and max: they would take as long as the copying of a small corner.
    left = x if x > to_x else to_x
    top = y if y > to_y else to_y
    right = x_end if x_end < to_x_end else to_x_end
    bottom = y_end if y_end < to_y_end else to_y_end
    to[top - to_y : bottom - to_y, 3 * (left - to_x) : 3 * (right - to_x)] = lines[
        top - y : bottom - y, 3 * (left - x) : 3 * (right - x)
    ]


def over_white(rgba: NDArray[np.uint8]) -> Pixels:
    """Lay RGBA [h, w, 4] on white: uint8 [h, w, 3]."""
    alpha = rgba[..., 3:]
    if (alpha == 255).all():
        return np.ascontiguousarray(rgba[..., :3])
    share = alpha.astype(np.float32) / 255
    blended: Pixels = np.rint(rgba[..., :3] * share + WHITE * (1 - share)).astype(np.uint8)
    return blended


def not_openable(path: Path, reason: object) -> SlideError:
    """The error for a file that nobody can open."""
    text = " ".join(str(reason).split()) or type(reason).__name__
    return SlideError(
        f"{path}: cannot be opened as a slide ({text})",
        "Check that the file is whole, or convert it to a tiled TIFF.",
    )


def unreadable(path: Path, error: OSError) -> SlideError:
    """The error for a file that was there when it was looked for."""
    reason = error.strerror or str(error)
    return SlideError(f"{path}: cannot be read ({reason})", "Check that its disk is there.")


def undecodable(path: Path, level: int, col: int, row: int, reason: object) -> ReadError:
    """The error for a native tile that is there and cannot be read."""
    text = " ".join(str(reason).split())
    return ReadError(
        f"{path}: tile column {col}, row {row} of level {level} cannot be decoded ({text})",
        "Copy the slide again if the original is whole.",
    )
