"""Ordinary files: what can be read to its end."""

from __future__ import annotations

import stat
from pathlib import Path

from histocnn.errors import StoreError


def check_ordinary(path: Path) -> None:
    """Refuse what is no file (a FIFO, a device), on which opening or reading would wait for ever.

    Raises:
        FileNotFoundError: There is nothing.
        StoreError: It is no ordinary file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise StoreError(
            f"{path}: cannot be read, because it is no ordinary file", "Give a file on disk."
        )


def is_ordinary(path: Path) -> bool:
    """Whether a file is there; a name that no file can have is that of none."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def check_may_be_folder(out: Path) -> None:
    """Refuse a folder to be that is a file, or would lie in one, before work is done for it.

    Raises:
        StoreError: Names the file.
    """
    for path in (out, *out.parents):
        if is_ordinary(path):
            raise StoreError(f"{out}: cannot be written, {path} is a file", "Set another --out.")
