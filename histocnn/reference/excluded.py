"""Which rows of a reference are kept from which queries, found without a look at every row."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import FeaturesError

Int = NDArray[np.int64]


class Part(NamedTuple):
    """Queries that are kept from the same rows.

    Attributes:
        queries: int64 [Q], their numbers, rising.
        excluded: int64 [E], the reference rows that they are kept from, rising.
    """

    queries: Int
    excluded: Int


class Exclusions:
    """The rows of each patient and each slide.

    Args:
        groups: int64 [N, 2], codes of (patient, slide) of the reference; -1 unknown.

    >>> Exclusions(np.array([[0, 0], [0, 1], [1, 2], [-1, 2]])).of(np.array([0, 2])).tolist()
    [0, 1, 2, 3]
    """

    def __init__(self, groups: Int) -> None:
        self.groups = groups

    @cached_property
    def _sorted(self) -> list[tuple[Int, Int]]:
        """Of each level the rows by code, and the codes so sorted."""
        orders = [np.argsort(codes, kind="stable") for codes in self.groups.T]
        return [(order, codes[order]) for order, codes in zip(orders, self.groups.T, strict=True)]

    def of(self, group: Int) -> Int:
        """Rows int64 [E], rising, that share a known patient or slide with a group [2]."""
        found = []
        for code, (order, codes) in zip(group, self._sorted, strict=True):
            if code >= 0:
                first, last = np.searchsorted(codes, [code, code + 1])
                found.append(order[first:last])
        known = [rows for rows in found if len(rows)]
        if len(known) == 1:
            return known[0]
        return np.unique(np.concatenate(known)) if known else np.zeros(0, np.int64)

    def parts(self, groups: Int, own: Int | None, k: int) -> list[Part]:
        """Queries int64 [M, 2] that are kept from the same; of the last part from nothing.

        Args:
            groups: int64 [M, 2] of the queries.
            own: int64 [M], the reference row that is the query itself; -1 none.
            k: Neighbours asked for.

        Raises:
            FeaturesError: Fewer than k rows remain for a query.
        """
        parts, free = [], []
        unique, which = np.unique(groups, axis=0, return_inverse=True)
        order = np.argsort(which.reshape(-1), kind="stable")
        edges = np.searchsorted(which.reshape(-1)[order], np.arange(len(unique) + 1))
        for group, first, last in zip(unique, edges, edges[1:], strict=False):
            excluded = self.of(group)
            if len(excluded):
                _check_enough(k, len(self.groups) - len(excluded), True)
                parts.append(Part(order[first:last], excluded))
            else:
                free.append(order[first:last])
        if free:
            queries = np.sort(np.concatenate(free))
            itself = own is not None and bool((own[queries] >= 0).any())
            _check_enough(k, len(self.groups) - itself, itself)
            parts.append(Part(queries, np.zeros(0, np.int64)))
        return parts


def tiles(parts: list[Part], size: int) -> list[list[Part]]:
    """The parts in turn, cut so that each list has at most `size` queries.

    >>> some = [Part(np.arange(3), np.arange(1)), Part(np.arange(3, 5), np.arange(0))]
    >>> [[part.queries.tolist() for part in tile] for tile in tiles(some, 2)]
    [[[0, 1]], [[2], [3]], [[4]]]
    """
    found: list[list[Part]] = []
    room = 0
    for queries, excluded in parts:
        start = 0
        while start < len(queries):
            if room == 0:
                found.append([])
                room = size
            taken = queries[start : start + room]
            found[-1].append(Part(taken, excluded))
            start += len(taken)
            room -= len(taken)
    return found


def _check_enough(k: int, remaining: int, excluded: bool) -> None:
    """Refuse a k that is larger than the rows that remain.

    Args:
        k: Neighbours asked for.
        remaining: Rows.
        excluded: Whether there were more.

    Raises:
        FeaturesError: Says what remains.
    """
    if k > remaining:
        raise FeaturesError(
            f"k = {k} neighbours asked of {remaining} reference rows"
            + " that remain after exclusion" * excluded,
            "Lower --k, or add reference patches of other patients."
            if remaining
            else "All of the reference is of the same patient or slide (see --exclude): add "
            "others.",
        )
