"""The journal's lines, whole or not there, and files that say by their time that somebody lives."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Any, BinaryIO

from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from histocnn.storage.json import to_json

TOUCH_S = 5.0  # between two touches of a trial's file
STALE_S = 300.0  # without one, on another machine: a disk shared by many may be slow


class WholeLines(JournalFileBackend):
    """A journal of whole lines: what a full disk or a kill cut off is taken away again."""

    def __init__(self, path: Path) -> None:
        self._journal = path
        super().__init__(str(path), JournalFileOpenLock(str(path)))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines at the end of those that are whole, alone.

        Raises:
            OSError: They cannot be written; the journal is as it was.
        """
        lines = "".join(f"{to_json(log)}\n" for log in logs).encode()
        self._lock.acquire()
        try:
            with self._journal.open("r+b") as file:
                end = _end_of_lines(file)
                file.seek(end)
                file.truncate()
                try:
                    file.write(lines)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    with contextlib.suppress(OSError):
                        os.truncate(self._journal, end)
                    raise
        finally:
            with contextlib.suppress(RuntimeError):  # taken from us, who were too slow
                self._lock.release()


def _end_of_lines(file: BinaryIO) -> int:
    r"""The bytes up to the end of the last whole line.

    >>> import io
    >>> _end_of_lines(io.BytesIO(b"one\ntwo\n")), _end_of_lines(io.BytesIO(b"one\ntw"))
    (8, 4)
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    if file.read() in (b"\n", b""):
        return size
    file.seek(0)
    return file.read().rfind(b"\n") + 1


class Touching:
    """Touches a file every few seconds as long as its block lasts."""

    def __init__(self, path: Path) -> None:
        self._path, self._over = path, threading.Event()
        self._thread = threading.Thread(target=self._touch, daemon=True)

    def __enter__(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch()
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _touch(self) -> None:
        while not self._over.wait(TOUCH_S):
            with contextlib.suppress(OSError):  # a full disk is the trial's own affair
                self._path.touch()
