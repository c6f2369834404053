"""Patches as image files in a folder that is either whole or not there."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.errors import StoreError
from histocnn.storage.atomic import temporary_beside

JPEG_QUALITY = 90  # below, blocking of the patch's own JPEG shows over the slide's


def write_patch_folder(
    folder: Path, patches: Iterable[tuple[str, NDArray[np.uint8] | None]]
) -> int:
    """Write patches below a folder, which replaces an earlier export once all are written.

    Args:
        folder: Where the patches go.
        patches: (path below the folder, uint8 [H, W, 3] RGB); None for what could not be read.

    Returns:
        How many could not be read.

    Raises:
        StoreError: The folder cannot be written, or holds what no export wrote; nothing
            half-written is left.
    """
    check_is_export(folder)
    unfinished, unreadable = temporary_beside(folder), 0
    try:
        unfinished.mkdir(parents=True)
        for name, pixels in patches:
            if pixels is None:
                unreadable += 1
            else:
                path = unfinished / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(_encode(pixels, path.suffix))
        _take_place(unfinished, folder)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot write the patches ({error.strerror or error})",
            "Free some space, or give another --out.",
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return unreadable


def check_is_export(folder: Path) -> None:
    """Refuse to replace a folder that holds anything but exported patches of its own name.

    Raises:
        StoreError: It does: a scanner's data, a user's notes.
    """
    patch = re.compile(re.escape(folder.name) + r"_x-?\d+_y-?\d+\.(png|jpeg)")
    try:
        mode = folder.lstat().st_mode  # asked once: another process may replace it meanwhile
    except (FileNotFoundError, NotADirectoryError):
        return
    if not stat.S_ISDIR(mode):  # a link is none, wherever it leads
        raise _not_ours(folder, folder)
    for parent, folders, files in os.walk(folder):
        for name in [*(n for n in folders if Path(parent, n).is_symlink()), *files]:
            if not patch.fullmatch(name):
                raise _not_ours(folder, Path(parent, name))


def _not_ours(folder: Path, found: Path) -> StoreError:
    return StoreError(
        f"{folder}: is to be replaced by patches, but {found} is none that histocnn wrote",
        "Move it away, or give another --out.",
    )


def _take_place(unfinished: Path, folder: Path) -> None:
    """Put a folder in another's place; of several processes that do so at once the last wins."""
    while True:
        aside = temporary_beside(folder)
        try:
            folder.rename(aside)
        except FileNotFoundError:
            pass
        else:
            shutil.rmtree(aside, ignore_errors=True)
        try:
            unfinished.rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return


def _encode(pixels: NDArray[np.uint8], suffix: str) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix != ".png" else []
    return cv2.imencode(suffix, pixels[..., ::-1], options)[1].tobytes()
