"""Patches as image files in a folder that is either whole or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.errors import StoreError

JPEG_QUALITY = 90  # below, blocking of the patch's own JPEG shows over the slide's


def write_patch_folder(
    folder: Path, patches: Iterable[tuple[str, NDArray[np.uint8] | None]]
) -> int:
    """Write patches below a folder, which replaces what stood there once all are written.

    Args:
        folder: Where the patches go.
        patches: (path below the folder, uint8 [H, W, 3] RGB); None for what could not be read.

    Returns:
        How many could not be read.

    Raises:
        StoreError: The folder cannot be written; nothing half-written is left.
    """
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    unreadable = 0
    try:
        unfinished.mkdir(parents=True)
        for name, pixels in patches:
            if pixels is None:
                unreadable += 1
            else:
                path = unfinished / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(_encode(pixels, path.suffix))
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.replace(folder)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot write the patches ({error.strerror or error})",
            "Free some space, or give another --out.",
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return unreadable


def _encode(pixels: NDArray[np.uint8], suffix: str) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix != ".png" else []
    return cv2.imencode(suffix, pixels[..., ::-1], options)[1].tobytes()
