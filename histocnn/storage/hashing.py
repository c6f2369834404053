"""The hash of a file: by it a recipe knows its inputs, whatever they are called."""

from __future__ import annotations

import hashlib
from pathlib import Path

from histocnn.errors import StoreError
from histocnn.storage.ordinary import check_ordinary


def sha256(path: str | Path) -> str:
    """The sha256 of a whole file as 64 hexadecimal digits; the file is never whole in memory.

    Raises:
        StoreError: It cannot be read, or is no ordinary file, and reading it might never end.
    """
    try:
        check_ordinary(Path(path))
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error.strerror or error})", "Check its name and permissions."
        ) from error
