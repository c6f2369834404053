"""Images of one colour, written on the spot."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def write_image(path: Path, colour: tuple[int, int, int] = (200, 100, 50), side: int = 8) -> Path:
    """A square image of an RGB colour; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((side, side, 3), colour[::-1], np.uint8))
    return path
