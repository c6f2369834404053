"""Batches whose first is read in a thread before anybody asks for them."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

from histocnn.slides.stream import Batch


class Begun:
    """A slide opened and its first batch read meanwhile, and what a stream reads ahead of that.

    Args:
        batches: Not begun yet; whatever it raises at first is raised by who takes it over.
    """

    def __init__(self, batches: Generator[Batch, None, None]) -> None:
        self._batches = batches
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="begun")
        self._first = self._pool.submit(next, batches, None)

    def batches(self) -> Generator[Batch, None, None]:
        """All batches; whoever stops early, or is interrupted, leaves nothing open."""
        try:
            first = self._first.result()
            if first is not None:
                yield first
                yield from self._batches
        finally:
            self.close()

    def close(self) -> None:
        """Stop reading and give everything back."""
        self._pool.shutdown()  # waits: what reads cannot be closed
        self._batches.close()
