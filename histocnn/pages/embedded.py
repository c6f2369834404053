"""Pictures that a page carries inside itself, so that it asks for nothing else."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

THUMBNAIL_PX = 112
HEATMAP_PX = 420


class Picture(NamedTuple):
    """A picture as a data URI, and the lines below it."""

    source: str
    caption: Sequence[str]


def svg(path: Path, *caption: str) -> Picture:
    """A drawing that lies on disk as SVG."""
    data = base64.b64encode(path.read_bytes()).decode()
    return Picture(f"data:image/svg+xml;base64,{data}", caption)


def thumbnail(pixels: NDArray[np.uint8], *caption: str, longest_px: int = THUMBNAIL_PX) -> Picture:
    """Compress pixels [h, w, 3] into a small JPEG."""
    scale = min(1.0, longest_px / max(pixels.shape[:2]))
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    data = base64.b64encode(encoded.tobytes()).decode()
    return Picture(f"data:image/jpeg;base64,{data}", caption)


def picture_file(path: Path, *caption: str) -> Picture | None:
    """A picture on disk, made small; None if it cannot be read."""
    pixels = cv2.imread(str(path))
    if pixels is None:
        return None
    return thumbnail(pixels[..., ::-1].astype(np.uint8), *caption, longest_px=HEATMAP_PX)
