"""How many slides a process holds open at once: as many as its limit of open files leaves room for.

A slide opens its file when it is first read and again whenever it must; the one opened longest ago
gives its file back when there are too many.
"""

from __future__ import annotations

import os
import resource
import weakref
from collections import deque
from typing import Protocol

FOR_OTHERS = 32  # descriptors: pipes, libraries' files, results being written
PER_SLIDE = 2  # two readers hold a handle each


class Closable(Protocol):
    """What holds files open and opens them again when asked."""

    def close(self) -> None:
        """Give them back."""
        ...


_open: deque[weakref.ref[Closable]] = deque()
os.register_at_fork(after_in_child=_open.clear)  # the parent's are not ours to close


def most_at_once() -> int:
    """How many slides may be open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 10**9 if soft == resource.RLIM_INFINITY else max(1, (soft - FOR_OTHERS) // PER_SLIDE)


def opened(slide: Closable) -> None:
    """Count a slide that has just been opened, and close those opened longest ago if too many."""
    _open.append(weakref.ref(slide))
    while len(_open) > most_at_once() or (_open and _open[0]() is None):
        oldest = _open.popleft()()
        if oldest is not None and oldest is not slide:
            oldest.close()
