"""The mean of a reference without some of its rows, from sums: none is gone through for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from histocnn.reference.stored import Int, StoredRows

Double = NDArray[np.float64]


class Means:
    """Means of rows that stay in their files.

    Args:
        rows: N rows.
        size: How many are held at a time.
    """

    def __init__(self, rows: StoredRows, size: int) -> None:
        self.rows = rows
        self.size = size

    @cached_property
    def _sum(self) -> Double:
        total = np.zeros(self.rows.width)
        for _, block in self.rows.blocks(self.size):
            total += block.astype(np.float32).sum(axis=0, dtype=np.float64)
        return total

    @property
    def of_all(self) -> Double:
        """float64 [D]."""
        return self._sum / len(self.rows)

    def without(self, excluded: Sequence[Int]) -> Double:
        """Of what remains for each group, float64 [G, D]; only what is left out is read again.

        Args:
            excluded: Of each group the rows that are left out, rising.
        """
        sums = np.zeros((len(excluded), self.rows.width))
        row = np.concatenate(excluded)
        group = np.repeat(np.arange(len(excluded)), [len(rows) for rows in excluded])
        order = np.argsort(row, kind="stable")
        row, group = row[order], group[order]
        for numbers, block in self.rows.blocks(self.size, np.unique(row)):
            low, high = np.searchsorted(row, [numbers[0], numbers[-1] + 1])
            by_group = np.argsort(group[low:high], kind="stable") + low
            groups, begin = np.unique(group[by_group], return_index=True)
            values = block.astype(np.float64)[np.searchsorted(numbers, row[by_group])]
            sums[groups] += np.add.reduceat(values, begin, axis=0)
        remaining = len(self.rows) - np.array([len(rows) for rows in excluded])
        return np.asarray((self._sum - sums) / remaining[:, None])
