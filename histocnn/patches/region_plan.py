"""Which regions of a dense grid are computed at once: arithmetic only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]


class Region(NamedTuple):
    """A square of the grid's cells, some of which are wanted.

    Attributes:
        row: Its first row of cells.
        col: Its first column of cells.
        rows: int64 [n], places of its wanted cells in the grid.
        at: int64 [n, 2], (row, col) of each within the region.
    """

    row: int
    col: int
    rows: Index
    at: Index


def side_of(cell: Index, most: int, multiple: int = 1) -> int:
    """Side of regions, in cells: as large as may be, and no larger than shares the cells out.

    Args:
        cell: [N, 2], (row, col) of the wanted cells.
        most: The largest side.
        multiple: The side is a multiple of it.
    """
    most = max(multiple, most // multiple * multiple)
    spans = np.ptp(cell, axis=0) + 1 if len(cell) else np.ones(2)
    even = max(-(-span // -(-span // most)) for span in spans.astype(int).tolist())
    return int(-(-even // multiple) * multiple)


def plan(cell: Index, side: int) -> list[Region]:
    """Cover the wanted cells with regions, each cell in exactly one; row by row.

    A strip of `side` rows begins at the first row that is wanted and not yet covered, a region at
    the first such column of its strip: where nothing is wanted there are no regions.

    Args:
        cell: [N, 2], (row, col) of the wanted cells.
        side: Of the regions, in cells.

    >>> [(region.row, region.col) for region in plan(np.array([(0, 3), (1, 9), (7, 0)]), 4)]
    [(0, 3), (0, 9), (7, 0)]
    """
    found = []
    for top, strip in _runs(cell[:, 0], np.arange(len(cell)), side):
        for left, rows in _runs(cell[:, 1], strip, side):
            rows = np.sort(rows)
            found.append(Region(top, left, rows, cell[rows] - (top, left)))
    return found


def _runs(place: Index, rows: Index, side: int) -> list[tuple[int, Index]]:
    """Rows of each run of `side` places, with where it begins; the next at the next place."""
    rows = rows[np.argsort(place[rows], kind="stable")]
    sorted_places, runs, start = place[rows], [], 0
    while start < len(rows):
        begin = int(sorted_places[start])
        end = int(np.searchsorted(sorted_places, begin + side))
        runs.append((begin, rows[start:end]))
        start = end
    return runs
