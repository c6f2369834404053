"""Values on cells, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.patches.cells import at_centres, covered_mean

ROW = np.array([[0, 0], [0, 1], [0, 2]])
VALUES = np.array([[0.0], [0.4], [1.0]])


def laid(first: float, columns: int = 6) -> list[float]:
    # Rows alike, so that only columns tell where windows stand.
    cell = np.vstack([ROW + np.array([row, 0]) for row in range(9)])
    found = at_centres(np.vstack([VALUES] * 9), cell, (9, columns), first)
    np.testing.assert_array_equal(found[0], found[5])
    return found[5, :, 0].tolist()


def test_windows_centred_on_cells_keep_their_own_values() -> None:
    # 224 px at 32: the centre of window 0 is that of cell 3, which stands for those before it, too.
    assert laid(3.5) == pytest.approx([0, 0, 0, 0, 0.4, 1.0])
    assert laid(0.5, 3) == pytest.approx([0, 0.4, 1.0])


def test_between_windows_values_are_linear() -> None:
    # Window 0 is centred on the edge of cells 0 and 1, window 1 on that of 1 and 2.
    assert laid(1.0, 5) == pytest.approx([0, 0.2, 0.7, 1.0, np.nan], nan_ok=True)
    # A quarter cell before the centre of cell 1: its value lies a quarter on to the next window's.
    assert laid(1.25, 5) == pytest.approx([0, 0.1, 0.55, 1.0, np.nan], nan_ok=True)


def test_a_cell_whose_nearest_window_has_none_has_none() -> None:
    cell = np.array([[0, 0], [0, 3]])
    found = at_centres(np.array([[0.0], [1.0]]), cell, (1, 4), 0.75)[0, :, 0]
    assert found == pytest.approx([0, np.nan, np.nan, 1], nan_ok=True)


def test_the_mean_of_patches_that_cover_a_centre() -> None:
    found = covered_mean(VALUES, ROW, (1, 4), 2)[0, :, 0]
    assert found == pytest.approx([0, 0.2, 0.7, 1.0])
