"""Every wanted cell lies in exactly one region, whatever is wanted."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from histocnn.patches.region_plan import plan, side_of

CELLS = st.sets(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=80).map(
    lambda cells: np.array(sorted(cells), np.int64).reshape(-1, 2)
)


@given(CELLS, st.integers(1, 70))
def test_each_cell_is_in_exactly_one_region_where_it_says(cell: np.ndarray, side: int) -> None:
    regions = plan(cell, side)
    rows = np.concatenate([np.zeros(0, np.int64), *(region.rows for region in regions)])
    assert sorted(rows.tolist()) == list(range(len(cell)))
    for region in regions:
        assert len(region.rows) > 0
        assert (region.at >= 0).all()
        assert (region.at < side).all()
        np.testing.assert_array_equal(
            cell[region.rows], region.at + np.array([region.row, region.col])
        )


@given(CELLS, st.integers(1, 70), st.sampled_from([1, 2]))
def test_sides_are_no_larger_than_asked_and_need_no_more_regions(
    cell: np.ndarray, most: int, multiple: int
) -> None:
    side = side_of(cell, most, multiple)
    assert 1 <= side <= max(most, multiple)
    assert side % multiple == 0


def test_sides_share_the_cells_out() -> None:
    line = np.stack([np.zeros(100, np.int64), np.arange(100)], axis=1)
    assert side_of(line, 90) == 50
    assert side_of(line, 100) == 100
    assert len(plan(line, 50)) == 2
