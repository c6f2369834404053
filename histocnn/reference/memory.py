"""How much memory a comparison may take, and whether a reference fits it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from histocnn.errors import FeaturesError, UsageError
from histocnn.patches import door

GB = 1e9
_COPIES = 3  # float32: as read, as the metric sees it, and once more without the excluded patient
_SHARE = 0.5  # of what is free, where nobody says how much may be taken
_LEAST = 64 << 20  # bytes in which blocks can be compared
_FIRST = 32 << 20  # that torch takes for itself when it first multiplies
_CALIBRATION = 5_000  # rows for novelty, as they are asked and as they were read
_GROUPS, _OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Sizes:
    """How much is held of a large reference at a time.

    Attributes:
        rows: Of a block.
        queries: That are compared in one pass over the blocks.
    """

    rows: int
    queries: int

    @classmethod
    def within(cls, free: float, width: int) -> Sizes:
        """As large as speeds things up and `free` bytes allow.

        Args:
            free: Bytes.
            width: Of a row.

        >>> Sizes.within(1e9, 512)
        Sizes(rows=4096, queries=16384)
        >>> Sizes.within(140e6, 2048)
        Sizes(rows=256, queries=256)
        """
        free -= _CALIBRATION * 2 * 4 * width
        rows = _power(free / 8 / (12 * width), 4_096)  # as stored, in float32, centred
        queries = _power(free / 2 / (40 * width + 512), 16_384)  # and means, if each has its own
        return cls(rows, queries)


def _power(value: float, most: int) -> int:
    """The power of two at or below a value, 32 at least."""
    return int(min(most, max(32, 2 ** (max(1, int(value)).bit_length() - 1))))


def resident() -> int:
    """Bytes of memory that this process holds."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.split("VmRSS:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def free() -> float:
    """Bytes of memory that this machine, or this job's share of it, has to give."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        found = next(int(line.split()[1]) * 1024.0 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        found = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for file in _limits():
        try:
            found = min(found, float(file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    return found


def _limits() -> Iterator[Path]:
    """Files that may limit this process: of its control groups, of either version, up to the top.

    A container sees its own at the top; a job of a queue has one further down.
    """
    try:
        lines = _OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    own = dict(line.split(":", 2)[1:] for line in lines if line.count(":") > 1)
    first = own.get("", "/")
    second = next((own[kinds] for kinds in own if "memory" in kinds.split(",")), "/")
    for top, inside, name in (
        (_GROUPS, first, "memory.max"),
        (_GROUPS / "memory", second, "memory.limit_in_bytes"),
    ):
        folder = PurePosixPath(inside.lstrip("/"))
        yield from (top / each / name for each in (folder, *folder.parents))


def stays(files: Sequence[Path], memory_gb: float | None) -> str:
    """Why a reference is not read into memory; "" where it fits.

    Args:
        files: Its feature files.
        memory_gb: What the process may take; None: half of what is free.

    Raises:
        StoreError, FeaturesError: A file is missing or is none of features.

    >>> stays([], 1.0)
    ''
    """
    rows, width = _shape(files)
    needed = _COPIES * 4.0 * rows * width
    allowed = _SHARE * free() if memory_gb is None else memory_gb * GB - resident()
    if needed <= max(allowed, 0):
        return ""
    half = f"{allowed / GB:.1f} GB, half of what is free"
    limit = f"--memory_gb {memory_gb:g}" if memory_gb else half
    return (
        f"the reference of {rows:,} × {width:,} takes {in_gb(needed)} in memory, more than "
        f"{limit}: compared block by block from its files"
    )


def check_room(files: Sequence[Path], copies: float, remedy: str) -> None:
    """Refuse features that must be in memory, and are more than it has to give.

    Args:
        files: Feature files.
        copies: How often all of them are held at the most, in float32.
        remedy: What to do instead.

    Raises:
        FeaturesError: They do not fit.
        StoreError: A file is missing or is none of features.
    """
    rows, width = _shape(files)
    needed, room = copies * 4.0 * rows * width, free()
    if needed > room:
        raise FeaturesError(
            f"{files[0].parent}: {rows:,} × {width:,} features would take {in_gb(needed)} of "
            f"memory, and {in_gb(room)} are free",
            remedy,
        )


def in_gb(size: float) -> str:
    """Bytes as people read them.

    >>> in_gb(1.2e6), in_gb(7.31e9), in_gb(1_234e9)
    ('0.0012 GB', '7.3 GB', '1,234 GB')
    """
    return f"{size / GB:,.0f} GB" if size >= 10 * GB else f"{size / GB:.2g} GB"


def _shape(files: Sequence[Path]) -> tuple[int, int]:
    shapes = [door.features_shape(file) for file in files]
    return sum(rows for rows, _ in shapes), max((width for _, width in shapes), default=0)


def left(memory_gb: float | None) -> float:
    """Bytes that blocks may take beside what the process holds already.

    Raises:
        UsageError: Too few.
    """
    held = resident()
    allowed = _SHARE * free() if memory_gb is None else memory_gb * GB - held
    if allowed < _FIRST + _LEAST:
        raise UsageError(
            f"--memory_gb {memory_gb or allowed / GB:.2g}: {held / GB:.2g} GB are held before the "
            "first block is read",
            f"Give at least {(held + 2 * _LEAST) / GB:.1f}.",
        )
    return allowed - _FIRST
