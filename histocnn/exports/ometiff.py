"""The heatmap as an image with a physical scale, for QuPath and napari."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from histocnn.scores.scored import ScoredSlide
from histocnn.storage.atomic import replacing

_SMALLEST_LEVEL_PX = 256


def write_ome_tiff(slide: ScoredSlide, path: Path, *, classes: list[int]) -> None:
    """Write the heatmap as a pyramidal float OME-TIFF: one pixel per cell, one channel per class.

    Pixel [row, col] covers level 0 from (col, row) × `stride_l0` on, which the physical pixel size
    tells viewers. Unscored cells are NaN.
    """
    names = [slide.class_names[index] for index in classes]
    layers = [slide.raster()[..., index] for index in classes]
    novelty = slide.novelty_raster()
    if novelty is not None:
        names.append("novelty")
        layers.append(novelty * 100)
    levels = list(_pyramid(np.stack(layers)))
    pixel_um = slide.grid.stride_px * slide.grid.mpp
    metadata = {
        "axes": "CYX",
        "Name": slide.slide_id,
        "Channel": {"Name": names},
        "PhysicalSizeX": pixel_um,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": pixel_um,
        "PhysicalSizeYUnit": "µm",
    }
    with (
        replacing(path) as temporary,
        tifffile.TiffWriter(temporary, bigtiff=True, ome=True) as tiff,
    ):
        for number, level in enumerate(levels):
            per_cm = 1e4 / (pixel_um * 2**number)
            tiff.write(
                level,
                photometric="minisblack",
                tile=(256, 256),
                compression="zlib",
                subifds=len(levels) - 1 if number == 0 else None,
                subfiletype=0 if number == 0 else 1,
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                metadata=metadata if number == 0 else None,
            )


def _pyramid(level: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """The raster [C, rows, cols] and its halves, each pixel the mean of what was scored."""
    yield level
    while max(level.shape[1:]) > _SMALLEST_LEVEL_PX:
        odd = [(0, side % 2) for side in level.shape[1:]]
        even = np.pad(level, [(0, 0), *odd], constant_values=np.nan)
        blocks = even.reshape(len(even), even.shape[1] // 2, 2, even.shape[2] // 2, 2)
        count = np.isfinite(blocks).sum(axis=(2, 4))
        total = np.nansum(blocks, axis=(2, 4))
        level = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
        yield level
