"""Arrays that are used again once nobody else holds them.

The system clears memory before it gives it to a process, page by page; for batches of patches that
took as long as copying them.
"""

from __future__ import annotations

import os
import sys
import threading

import numpy as np

from histocnn.slides.geometry import Pixels

KEPT_BYTES = 96 * 2**20  # that nobody holds any more: ten batches of 64 patches of 224 px


def _is_alone(arrays: list[Pixels], index: int) -> bool:
    """Whether nobody but this list holds an array of it."""
    return sys.getrefcount(arrays[index]) == _ALONE


_SEEN = [np.empty(0)]
_ALONE = sys.getrefcount(_SEEN[0])  # as this Python counts them


class Memory:
    """Hands out arrays, those first that came back: whose every view has been dropped.

    Whoever keeps an array or a view of it, a tensor over it included, keeps it from being used
    again.

    Args:
        kept_bytes: Of arrays that it remembers; others are the system's again once dropped.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self.forget()

    def forget(self) -> None:
        """Remember nothing, as in a process that has just been forked from another's threads."""
        self._arrays: list[Pixels] = []
        self._lock = threading.Lock()

    def array(self, shape: tuple[int, ...]) -> Pixels:
        """An array uint8 of this shape, whatever is in it.

        >>> memory = Memory()
        >>> first = memory.array((2, 3))
        >>> view, place = first[1:], first.ctypes.data
        >>> memory.array((2, 3)).ctypes.data == place  # the view holds it
        False
        >>> del first, view
        >>> memory.array((2, 3)).ctypes.data == place
        True
        """
        with self._lock:
            free = [i for i in range(len(self._arrays)) if _is_alone(self._arrays, i)]
            for index in free:
                if self._arrays[index].shape == shape:
                    return self._arrays[index]
            made = np.empty(shape, np.uint8)
            for index in reversed(free):  # of shapes that were asked for before
                if self._bytes() + made.nbytes > self._kept_bytes:
                    del self._arrays[index]
            if self._bytes() + made.nbytes <= self._kept_bytes:
                self._arrays.append(made)
            return made

    def _bytes(self) -> int:
        return sum(array.nbytes for array in self._arrays)


MEMORY = Memory()
os.register_at_fork(after_in_child=MEMORY.forget)
