"""Values of patches laid onto the grid's cells: arithmetic only."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Index = NDArray[np.int64]
SAME = 1e-6  # of a cell: what rounding makes of a whole number


def covered_mean(values: Values, cell: Index, shape: tuple[int, int], reach: int) -> Values:
    """For each cell the mean of the patches that cover its centre.

    Args:
        values: [N, C], no NaN.
        cell: [N, 2], (row, col) where each patch begins.
        shape: Rows and columns of the cells.
        reach: Cells along one axis whose centres a patch covers.

    Returns:
        [rows, cols, C], NaN where there is none.
    """
    shares = [(step, 1.0) for step in range(reach)]
    total, count = _laid(values, cell, shape, shares)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def at_centres(values: Values, cell: Index, shape: tuple[int, int], first: float) -> Values:
    """For each cell the value at its centre, linearly between the centres of windows.

    A cell has a value where the window whose centre is nearest has one. Before the first window's
    centre, at the slide's left and upper edge, the first window's value stands.

    Args:
        values: [N, C], no NaN.
        cell: [N, 2], (row, col) of each window.
        shape: Rows and columns of the cells.
        first: Where the centre of window 0 lies, in cells; with 0.5 each lies in its own cell's.

    Returns:
        [rows, cols, C], NaN where there is none.
    """
    back = first - 0.5  # from a cell's centre back to the window that it is the centre of
    whole = math.floor(back + SAME)
    share = back - whole if back - whole > SAME else 0.0
    shares = [(whole, 1 - share)] + [(whole + 1, share)] * (share > 0)
    for axis in (0, 1):
        edge = np.flatnonzero(cell[:, axis] == 0)
        for step in range(1, whole + 1 + (share > 0)):
            moved = cell[edge] - np.eye(2, dtype=np.int64)[axis] * step
            values, cell = np.vstack([values, values[edge]]), np.vstack([cell, moved])
    total, count = _laid(values, cell, shape, shares)
    nearest = [(step, 1.0) for step, own in shares if own >= 0.5 - SAME]
    known = _laid(values[:, :1], cell, shape, nearest)[1] > 0
    return np.divide(total, count, out=np.full_like(total, np.nan), where=known)


def _laid(
    values: Values, cell: Index, shape: tuple[int, int], shares: list[tuple[int, float]]
) -> tuple[Values, Values]:
    """Sums of values [rows, cols, C] and of weights [rows, cols, 1], moved by steps each way."""
    rows, columns = shape
    total = np.zeros((rows, columns, values.shape[1]))
    count = np.zeros((rows, columns, 1))
    row, column = cell.T
    for down, of_row in shares:
        for right, of_column in shares:
            inside = (row + down >= 0) & (row + down < rows)
            inside &= (column + right >= 0) & (column + right < columns)
            # Each patch has a cell of its own, so no target repeats within one shift.
            target = row[inside] + down, column[inside] + right
            total[target] += values[inside] * (of_row * of_column)
            count[target] += of_row * of_column
    return total, count
