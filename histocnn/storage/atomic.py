"""Files that are whole or not there: written beside the target, then moved into place."""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from histocnn.errors import StoreError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_DAY = 86_400.0  # seconds; nobody leaves a temporary file untouched for longer and still writes it
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOT_OUR_FAULT = (*_FULL, errno.EFBIG)
_TEMPORARY = re.compile(r"^\..+\.(?P<host>[^.]*)\.(?P<pid>\d+)-\d+\.tmp$")
_counter = itertools.count()
T = TypeVar("T")


def host() -> str:
    """This machine's name, as temporary files bear it."""
    return re.sub(r"[^\w-]", "-", socket.gethostname())[:32]


def write_error(path: Path, error: OSError) -> StoreError:
    """The StoreError for a target that cannot be written, with the remedy for its cause."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return StoreError(
            f"{path}: the disk is full ({reason})", "Free space, or set another --out."
        )
    if error.errno == errno.EFBIG:
        return StoreError(
            f"{path}: is larger than a file may be here ({reason})",
            "Raise the limit (ulimit -f), or set --out to another disk.",
        )
    return StoreError(
        f"{path}: cannot be written ({reason})", "Set --out to a folder you may write."
    )


def temporary_beside(path: Path) -> Path:
    """A name in the target's folder that nobody else writes to and that `sweep` knows.

    It ends in `.tmp` whatever the target's suffix, so that no `*.h5` finds it, and it holds host
    and process: two processes on one folder never meet, and what a killed one left is its own.
    """
    return path.with_name(f".{path.name}.{host()}.{os.getpid()}-{next(_counter)}.tmp")


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it takes the target's place at once.

    Whatever ends the block early, the temporary file is removed and the target is untouched. The
    file's mode is by the umask, whatever its writer made of it.

    Args:
        path: The target; its folder is made if it is missing.

    Yields:
        The path to write to.

    Raises:
        StoreError: The folder or the file cannot be written, or the disk is full.
    """
    path = Path(path)
    temporary = temporary_beside(path)
    with _as_store_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _as_store_error(path, temporary):
            yield temporary
        with _as_store_error(path):
            with temporary.open("rb") as file:
                os.fsync(file.fileno())  # bytes before the name: a power cut leaves no empty file
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _as_store_error(path: Path, only: Path | None = None) -> Iterator[None]:
    """Turn an OSError into a StoreError; with `only`, one that is not about that file passes."""
    try:
        yield
    except OSError as error:
        if only and error.errno not in _NOT_OUR_FAULT and error.filename != str(only):
            raise
        raise write_error(path, error) from error


def _umask() -> int:
    """The process's umask, which Linux tells without setting it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("Umask:")), 8)
    except (OSError, StopIteration):
        mask = os.umask(0o077)
        os.umask(mask)
        return mask


def write_text(path: str | Path, text: str) -> None:
    """Write a text file (UTF-8) in one step.

    Raises:
        StoreError: It cannot be written; nothing is left behind.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sum_up(look: Callable[[], T], write: Callable[[T], None]) -> None:
    """Write a summary of a folder that others may be adding to, until nothing came in between.

    Every process adds first and sums up then. Whoever writes last has therefore looked again after
    everybody's addition and found nothing new: without a lock, which not every shared disk has, no
    addition is missing from the summary that stays.

    Args:
        look: Reads what there is to sum up.
        write: Replaces the summary by that of what was read.
    """
    content = look()
    while True:
        write(content)
        before, content = content, look()
        if content == before:
            return


def check_writable(folder: str | Path) -> None:
    """Make the folder and prove that it takes a file, before hours are spent on what goes there.

    Raises:
        StoreError: It does not.
    """
    probe = Path(folder) / "writable"
    with _as_store_error(probe):
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe = temporary_beside(probe)
        probe.touch()
        probe.unlink()


def sweep(folder: str | Path) -> list[Path]:
    """Remove the temporary files and folders that killed processes left in the folder.

    One goes when its process on this machine is gone, or when nothing has touched it for a day
    (another machine's processes cannot be asked). A living process keeps its own.

    Returns:
        What was removed.
    """
    removed = []
    for path in Path(folder).glob(".*.tmp"):
        match = _TEMPORARY.match(path.name)
        if match is None:
            continue
        with contextlib.suppress(OSError):  # another process may sweep the same folder
            ours = match["host"] == host()
            if (
                ours and not is_alive(int(match["pid"]))
            ) or time.time() - path.stat().st_mtime > _DAY:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
                removed.append(path)
    return removed


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and only not yet waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state not in ("Z", "X")


class RawFile(io.RawIOBase):
    """A file for HDF5 that keeps its errors to itself, because HDF5 crashes on them.

    After a failed write (a full disk) HDF5 2.0 cannot close its file, and the process dies of a
    segmentation fault. Here HDF5 sees every write succeed; the first error waits in `error`.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = Path(path).open("w+b", buffering=0)  # noqa: SIM115 closed by close
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move as any file does."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Give the position as any file does."""
        return self._file.tell()

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        """Read as any file does."""
        return self._file.readinto(buffer)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write everything, or remember why not."""
        view = memoryview(data)
        length = view.nbytes
        try:
            while view and self.error is None:
                view = view[self._file.write(view) :]
        except OSError as error:
            self.error = error
        return length

    def truncate(self, size: int | None = None, /) -> int:
        """Cut or extend, or remember why not."""
        try:
            if self.error is None:
                return self._file.truncate(size)
        except OSError as error:
            self.error = error
        return size or 0

    def close(self) -> None:
        """Close as any file does."""
        self._file.close()
        super().close()
