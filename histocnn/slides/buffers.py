"""Arrays that are used again once nobody else holds them.

The system clears memory before it gives it to a process, page by page; for batches of patches that
took as long as copying them.
"""

from __future__ import annotations

import math
import os
import sys
import threading

import numpy as np

from histocnn.slides.geometry import Pixels

KEPT_BYTES = 96 * 2**20  # that nobody holds any more: ten batches of 64 patches of 224 px
_BEHIND = 8  # bytes after a multiple of 16 at which an array begins


def _is_alone(blocks: list[Pixels], index: int) -> bool:
    """Whether nobody but this list holds a block of it."""
    return sys.getrefcount(blocks[index]) == _ALONE


_SEEN = [np.empty(0)]
_ALONE = sys.getrefcount(_SEEN[0])  # as this Python counts them


class Buffers:
    """Hands out arrays, in memory first that came back: whose every view has been dropped.

    Whoever keeps an array or a view of it, a tensor over it included, keeps it from being used
    again. No array begins at a multiple of 16 bytes: what does, libjpeg-turbo writes past the
    processor's caches, which takes a third longer, and then it must be fetched to be copied.

    Args:
        kept_bytes: Of arrays that it remembers; others are the system's again once dropped.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self.forget()

    def forget(self) -> None:
        """Remember nothing, as in a process that has just been forked from another's threads."""
        self._blocks: list[Pixels] = []
        self._lock = threading.Lock()

    def array(self, shape: tuple[int, ...]) -> Pixels:
        """An array uint8 of this shape, whatever is in it.

        >>> buffers = Buffers()
        >>> first = buffers.array((2, 3))
        >>> view, place = first[1:], first.ctypes.data
        >>> buffers.array((2, 3)).ctypes.data == place  # the view holds it
        False
        >>> del first, view
        >>> buffers.array((2, 3)).ctypes.data == place
        True
        """
        count = math.prod(shape)
        with self._lock:
            block = self._block(count + 16)
        begin = (_BEHIND - block.ctypes.data) % 16
        return block[begin : begin + count].reshape(shape)

    def _block(self, count: int) -> Pixels:
        free = [i for i in range(len(self._blocks)) if _is_alone(self._blocks, i)]
        for index in free:
            if len(self._blocks[index]) == count:
                return self._blocks[index]
        made = np.empty(count, np.uint8)
        for index in reversed(free):  # of sizes that were asked for before
            if self._bytes() + count > self._kept_bytes:
                del self._blocks[index]
        if self._bytes() + count <= self._kept_bytes:
            self._blocks.append(made)
        return made

    def _bytes(self) -> int:
        return sum(len(block) for block in self._blocks)


BUFFERS = Buffers()
os.register_at_fork(after_in_child=BUFFERS.forget)
