"""Writes what is painted block by block as a tiled JPEG TIFF pyramid that OpenSlide opens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import cv2
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from histocnn.phantom.stain import BLOCK_PX, GLASS_RGB, TILE_PX

Pixels: TypeAlias = NDArray[np.uint8]
Tiles: TypeAlias = list[list[bytes]]  # [row][column], JPEG; b"" is a tile of zero bytes

BLOCK_LEVELS = (1, 2, 4, 8)  # downsamples whose tiles lie within one block
QUALITY = 80
GLASS = np.round(GLASS_RGB).astype(np.uint8)


def write_pyramid(
    path: Path,
    paint: Callable[[int, int], Pixels | None],
    size_px: tuple[int, int],
    mpp: float,
    *,
    sparse: bool = False,
) -> None:
    """Write a pyramid: level 0 streams to the disk, the far smaller other levels wait in memory.

    Args:
        path: The TIFF to write.
        paint: Gives the uint8 [BLOCK_PX, BLOCK_PX, 3] block whose top left is at (x, y), or so many
            whole tiles of it as the slide reaches; None is empty glass.
        size_px: Width and height of level 0.
        mpp: µm per level-0 pixel.
        sparse: Whether tiles of empty glass have zero bytes.
    """
    width, height = size_px
    blocks_across, blocks_down = -(-width // BLOCK_PX), -(-height // BLOCK_PX)
    per_block = BLOCK_PX // (2 * BLOCK_LEVELS[-1])
    coarse = np.empty((blocks_down * per_block, blocks_across * per_block, 3), np.uint8)
    coarse[:] = GLASS
    waiting: dict[int, list[bytes]] = {level: [] for level in BLOCK_LEVELS[1:]}

    def level0() -> Iterator[bytes]:
        for row in range(blocks_down):
            band: dict[int, list[Tiles]] = {level: [] for level in BLOCK_LEVELS}
            for column in range(blocks_across):
                levels = _block(paint(column * BLOCK_PX, row * BLOCK_PX), sparse)
                for level, (tiles, _) in zip(BLOCK_LEVELS, levels, strict=True):
                    band[level].append(tiles)
                y, x = row * per_block, column * per_block
                last = levels[-1][1]
                if last is not None:
                    last = _halved(last)
                    coarse[y : y + len(last), x : x + last.shape[1]] = last
            for level in BLOCK_LEVELS[1:]:
                waiting[level] += _in_rows(band[level], level, row, size_px)
            yield from _in_rows(band[1], 1, row, size_px)

    with tifffile.TiffWriter(path, bigtiff=width * height > 4_000_000_000) as tiff:
        _write_level(tiff, level0(), 1, size_px, mpp)
        for level in BLOCK_LEVELS[1:]:
            if min(size_px) // level < 64:
                break
            _write_level(tiff, iter(waiting.pop(level)), level, size_px, mpp)
        level, image = 2 * BLOCK_LEVELS[-1], coarse
        while min(size_px) // level >= 64 and max(size_px) / level > 2 * TILE_PX:
            size = _level_size(size_px, level)
            _write_level(tiff, _tiles_of(image, size), level, size_px, mpp)
            level, image = 2 * level, _halved(image)


def _level_size(size_px: tuple[int, int], level: int) -> tuple[int, int]:
    return -(-size_px[0] // level), -(-size_px[1] // level)


def _write_level(
    tiff: tifffile.TiffWriter,
    tiles: Iterator[bytes],
    level: int,
    size_px: tuple[int, int],
    mpp: float,
) -> None:
    width, height = _level_size(size_px, level)
    per_cm = 10_000 / mpp * np.array((width, height)) / size_px
    tiff.write(
        tiles,
        shape=(height, width, 3),
        dtype=np.uint8,
        tile=(TILE_PX, TILE_PX),
        photometric="ycbcr",
        compression="jpeg",
        subsampling=(2, 2),
        subfiletype=0 if level == 1 else 1,
        resolution=(float(per_cm[0]), float(per_cm[1])),
        resolutionunit="CENTIMETER",
        software=False,
        metadata=None,
    )


def _block(image: Pixels | None, sparse: bool) -> list[tuple[Tiles, Pixels | None]]:
    """A block's encoded tiles and pixels at each of BLOCK_LEVELS."""
    if image is None:
        tile = b"" if sparse else _jpeg(np.full((TILE_PX, TILE_PX, 3), GLASS, np.uint8))
        counts = [BLOCK_PX // TILE_PX // level for level in BLOCK_LEVELS]
        return [([[tile] * n for _ in range(n)], None) for n in counts]
    levels: list[tuple[Tiles, Pixels | None]] = []
    for level in BLOCK_LEVELS:
        levels.append((_encoded(image), image))
        if level != BLOCK_LEVELS[-1]:
            image = _halved(image)
    return levels


def _halved(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    size = -(-width // 2), -(-height // 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _in_rows(blocks: list[Tiles], level: int, row: int, size_px: tuple[int, int]) -> list[bytes]:
    """A band's tiles row by row across its blocks, those beyond the level's edge left out."""
    width, height = _level_size(size_px, level)
    across, down = -(-width // TILE_PX), -(-height // TILE_PX)
    per_block = BLOCK_PX // TILE_PX // level
    rows = min(per_block, down - row * per_block)
    return [
        tile for r in range(rows) for tile in [t for block in blocks for t in block[r]][:across]
    ]


def _tiles_of(image: Pixels, size: tuple[int, int]) -> Iterator[bytes]:
    width, height = size
    across, down = -(-width // TILE_PX), -(-height // TILE_PX)
    padded = np.empty((down * TILE_PX, across * TILE_PX, 3), np.uint8)
    padded[:] = GLASS
    padded[:height, :width] = image[:height, :width]
    return (tile for row in _encoded(padded) for tile in row)


def _encoded(image: Pixels) -> Tiles:
    height, width = image.shape[:2]
    return [
        [_jpeg(image[y : y + TILE_PX, x : x + TILE_PX]) for x in range(0, width, TILE_PX)]
        for y in range(0, height, TILE_PX)
    ]


def _jpeg(tile: Pixels) -> bytes:
    """A whole tile, whatever of it the image reaches."""
    if tile.shape[:2] != (TILE_PX, TILE_PX):
        down, right = (TILE_PX - side for side in tile.shape[:2])
        tile = np.pad(tile, ((0, down), (0, right), (0, 0)), mode="edge")
    encoded = imagecodecs.jpeg8_encode(
        np.ascontiguousarray(tile), level=QUALITY, colorspace="RGB", outcolorspace="YCBCR",
        subsampling="420",
    )  # fmt: skip
    return bytes(encoded)
