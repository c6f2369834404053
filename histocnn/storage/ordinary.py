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
