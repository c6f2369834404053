"""The reader of flat images: PNG, JPEG and TIFF without tiles or levels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile

from histocnn.slides.geometry import Pixels
from histocnn.slides.readers import Reader, not_openable, over_white


class ImageReader(Reader):
    """A flat PNG, JPEG or TIFF, held in memory as one tile.

    Args:
        path: The file.

    Raises:
        SlideError: It is no image of 8 bits per channel.
    """

    name = "image"

    def __init__(self, path: Path) -> None:
        self._pixels = _decode_image(path)
        h, w = self._pixels.shape[:2]
        self.level_sizes = self.tile_sizes = ((w, h),)

    def tile(self, level: int, col: int, row: int, out: Pixels | None = None) -> Pixels:
        """Give one whole native tile, as `Reader.tile` says."""
        return self._pixels


def _decode_image(path: Path) -> Pixels:
    try:
        with path.open("rb") as file:
            is_tiff = file.read(2) in (b"II", b"MM")
        if is_tiff:
            image: Any = tifffile.imread(path, key=0)
        else:
            image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except Exception as error:  # decoders raise errors of many kinds for a broken file
        raise not_openable(path, error) from error
    if image is None:
        raise not_openable(path, "neither OpenSlide nor OpenCV knows its format")
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=-1)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4):
        raise not_openable(path, f"an image of {image.dtype} {image.shape}, not 8-bit RGB")
    if not is_tiff:  # OpenCV's order is blue, green, red
        image[..., :3] = image[..., 2::-1].copy()
    return image if image.shape[2] == 3 else over_white(image)
