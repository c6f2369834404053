"""Small slides written on the spot: pyramids that OpenSlide opens, of known pixels.

Writers for the tests of every module that reads a slide. All sizes are (width, height).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

Image = NDArray[np.uint8]
SCN_NAMESPACE = "http://www.leica-microsystems.com/scn/2010/10/01"


def position_colour(x: NDArray[Any] | float, y: NDArray[Any] | float) -> NDArray[np.float64]:
    """The colour at continuous level-0 coordinates of a `position_image` (0.5 = first centre).

    Red tells x and green tells y: triangle waves of period 128 px that rise 4 grey levels per
    pixel, so a shift of one pixel is plainly seen through JPEG. Blue rises slowly with both and
    tells the periods apart. Returns [..., 3] in 0 to 255.
    """
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    red = 255 - np.abs((x % 128) - 64) * 3.98
    green = 255 - np.abs((y % 128) - 64) * 3.98
    blue = 127 + 64 * np.sin(x / 400) + 64 * np.sin(y / 271)
    return np.stack([red, green, blue], axis=-1)


def position_image(w: int, h: int) -> Image:
    """An image [h, w, 3] whose colour encodes the pixel's position: see `position_colour`."""
    x, y = np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)
    return np.round(position_colour(x, y)).clip(0, 255).astype(np.uint8)


def write_pyramid(
    path: Path,
    image: Image,
    *,
    tile_px: int = 256,
    downsamples: Sequence[float] = (1, 2, 4),
    mpp: float | tuple[float, float] | None = 0.5,
    compression: str = "jpeg",
    quality: int = 95,
    photometric: str = "ycbcr",
    subsampling: tuple[int, int] = (1, 1),
    description: str | None = None,
) -> Path:
    """A tiled pyramid of `image`, level sizes round(size / downsample), shrunk by area.

    Generic TIFF; a `description` that begins with "Aperio" makes it an Aperio slide, whose
    resolution OpenSlide then takes from "|MPP = 0.5" in it. `photometric="rgb"` with JPEG is
    what Aperio writes: RGB without a colour transform.
    """
    h, w = image.shape[:2]
    with tifffile.TiffWriter(path) as tiff:
        for level, downsample in enumerate(downsamples):
            size = max(1, round(w / downsample)), max(1, round(h / downsample))
            pixels = image if level == 0 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            tiff.write(
                pixels,
                **_tags(level, tile_px, mpp, downsample, compression, quality, photometric),
                subsampling=subsampling if compression == "jpeg" else None,
                description=description if level == 0 else None,
            )
    return path


def write_sparse_pyramid(
    path: Path,
    size: tuple[int, int] = (100_000, 100_000),
    *,
    tile_px: int = 256,
    downsamples: Sequence[float] = (1, 4, 16, 64),
    mpp: float | tuple[float, float] | None = 0.5,
    tile_at: Callable[[int, int, int], Image | None] = lambda level, col, row: None,
    quality: int = 90,
    description: str | None = None,
) -> Path:
    """A large pyramid most of whose tiles are absent (zero bytes), in a file of a few MB.

    `tile_at(level, col, row)` gives the pixels [tile_px, tile_px, 3] of a tile or None.
    """
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for level, downsample in enumerate(downsamples):
            w, h = max(1, round(size[0] / downsample)), max(1, round(size[1] / downsample))
            tiff.write(
                _tiles(level, -(-w // tile_px), -(-h // tile_px), tile_at, quality),
                shape=(h, w, 3),
                dtype=np.uint8,
                **_tags(level, tile_px, mpp, downsample, "jpeg", quality, "ycbcr"),
                subsampling=(2, 2),
                description=description if level == 0 else None,
            )
    return path


def write_bounds_slide(
    path: Path,
    *,
    size: tuple[int, int] = (1024, 768),
    bounds: tuple[int, int, int, int] = (256, 128, 512, 384),
    mpp: float = 0.5,
) -> Path:
    """A Leica slide whose scanned area is a part of level 0: OpenSlide reports its bounds.

    Level 0 has `size`; the part `bounds` (x, y, w, h) of a `position_image` of that size is
    stored, the rest is transparent. Two levels (1 and 2); `bounds` should be even. The suffix
    may be anything OpenSlide is asked for; ".scn" is usual.
    """
    x, y, w, h = bounds
    image = position_image(*size)[y : y + h, x : x + w]
    nm = round(mpp * 1000)
    xml = f"""<?xml version="1.0"?>
<scn xmlns="{SCN_NAMESPACE}"><collection name="test" sizeX="{size[0] * nm}" sizeY="{size[1] * nm}">
<image name="main"><device model="test" version="1"/>
<pixels sizeX="{w}" sizeY="{h}"><dimension sizeX="{w}" sizeY="{h}" r="0" ifd="0"/>
<dimension sizeX="{w // 2}" sizeY="{h // 2}" r="1" ifd="1"/></pixels>
<view sizeX="{w * nm}" sizeY="{h * nm}" offsetX="{x * nm}" offsetY="{y * nm}"/>
<scanSettings><objectiveSettings><objective>20</objective></objectiveSettings>
<illuminationSettings><illuminationSource>brightfield</illuminationSource></illuminationSettings>
</scanSettings></image></collection></scn>"""
    return write_pyramid(path, image, downsamples=(1, 2), mpp=mpp, description=xml)


def damage_tile(path: Path, level: int, col: int, row: int) -> None:
    """Overwrite one tile's bytes with zeros: it is there, but cannot be decoded."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[level]
        index = row * -(-page.imagewidth // page.tilewidth) + col
        offset, count = page.dataoffsets[index], page.databytecounts[index]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(count))


def zero_bytes(
    path: Path, level: int, col: int, row: int, *, after: float = 0.5, count: int = 64
) -> None:
    """Zero some bytes within one JPEG tile, as a bad sector does: mostly it decodes all the same.

    They begin at the share `after` of the tile's bytes.
    """
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[level]
        index = row * -(-page.imagewidth // page.tilewidth) + col
        offset, size = page.dataoffsets[index], page.databytecounts[index]
    assert size > 2 * count
    with path.open("r+b") as file:
        file.seek(offset + int((size - count) * after))
        file.write(bytes(count))


def _tiles(
    level: int, cols: int, rows: int, tile_at: Callable[[int, int, int], Image | None], quality: int
) -> Iterator[bytes]:
    for row in range(rows):
        for col in range(cols):
            tile = tile_at(level, col, row)
            yield b"" if tile is None else imagecodecs.jpeg8_encode(tile, quality)


def _tags(
    level: int,
    tile_px: int,
    mpp: float | tuple[float, float] | None,
    downsample: float,
    compression: str,
    quality: int,
    photometric: str,
) -> dict[str, Any]:
    """What `TiffWriter.write` is told of a level."""
    resolution: dict[str, Any] = {"resolutionunit": "NONE"}
    if mpp is not None:
        mpp_x, mpp_y = (mpp, mpp) if isinstance(mpp, float | int) else mpp
        per_cm = 1e4 / (mpp_x * downsample), 1e4 / (mpp_y * downsample)
        resolution = {"resolution": per_cm, "resolutionunit": "CENTIMETER"}
    is_jpeg = compression == "jpeg"
    return resolution | {
        "tile": (tile_px, tile_px),
        "subfiletype": 0 if level == 0 else 1,
        "photometric": "rgb",  # of the pixels given; JPEG stores them as `outcolorspace`
        "compression": compression,
        "compressionargs": {"level": quality, "outcolorspace": photometric} if is_jpeg else None,
        "metadata": None,
    }
