"""Maps: scale, size, and what says nothing."""

from __future__ import annotations

import numpy as np

from histocnn.inspection.maps import enlarged, scaled, undefined


def test_maps_are_scaled_each_for_itself_and_empty_ones_are_undefined() -> None:
    maps = np.float32([[[-2, 1], [3, 5]], [[0, 0], [-1, 0]], [[4, 4], [4, 4]], [[2, 6], [4, 2]]])
    assert undefined(maps).tolist() == [False, True, False, False]
    np.testing.assert_array_equal(
        scaled(maps),
        np.float32([
            [[0, 0.2], [0.6, 1]],
            [[np.nan, np.nan], [np.nan, np.nan]],
            [[1, 1], [1, 1]],
            [[0, 1], [0.5, 0]],
        ]),
    )  # fmt: skip


def test_a_cell_is_its_share_of_the_image() -> None:
    grown = enlarged(np.float32([[[0, 4]]]), (2, 8))
    # Centres of the cells at x = 2 and 6; pixels at 0.5, 1.5, … between them linearly.
    assert grown.tolist() == [[[0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4]] * 2]
