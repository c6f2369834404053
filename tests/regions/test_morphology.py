"""Smoothing, closing and cleaning of masks, in µm along each axis."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.regions.morphology import blurred, closed, without_small

ROUND_UM = (4.0, 4.0)


def test_smoothing_keeps_the_sum_and_spreads_in_um_not_pixels() -> None:
    point = np.zeros((81, 81), np.float32)
    point[40, 40] = 1
    spread = blurred(point, (2.0, 4.0), sigma_um=16)
    assert spread.sum() == pytest.approx(1, abs=1e-4)
    axis = np.arange(81) - 40.0
    # Standard deviations of 16 µm: 8 px of 2 µm along x, 4 px of 4 µm along y.
    assert np.sqrt((spread.sum(axis=0) * axis**2).sum()) == pytest.approx(8, rel=0.03)
    assert np.sqrt((spread.sum(axis=1) * axis**2).sum()) == pytest.approx(4, rel=0.03)


def test_no_smoothing_is_the_same_array() -> None:
    values = np.ones((3, 3), np.float32)
    assert blurred(values, ROUND_UM, sigma_um=0) is values


@pytest.mark.parametrize(("gap_px", "bridged"), [(2, True), (6, False)])
def test_gaps_up_to_the_width_are_closed(gap_px: int, bridged: bool) -> None:
    mask = np.zeros((60, 60), bool)
    mask[10:50, 10:30] = mask[10:50, 30 + gap_px : 50] = True
    joined = closed(mask, ROUND_UM, width_um=16)  # 4 px
    assert joined[20:40, 30 : 30 + gap_px].all() == bridged
    assert joined[mask].all()


def test_a_gap_is_measured_along_its_own_axis() -> None:
    mask = np.zeros((60, 60), bool)
    mask[10:50, 10:28] = mask[10:50, 32:50] = True
    assert closed(mask, (4.0, 4.0), width_um=24)[20:40, 28:32].all()
    assert not closed(mask, (16.0, 4.0), width_um=24)[20:40, 28:32].any()  # 64 µm wide


def test_parts_meet_by_their_sides_and_small_ones_go() -> None:
    mask = np.array(
        [
            [1, 1, 0, 0, 0],
            [1, 0, 0, 1, 0],
            [0, 1, 0, 1, 1],
        ],
        bool,
    )
    # Three pixels in the corner; one that only touches them by its corner; three at the right.
    assert without_small(mask, 2).astype(int).tolist() == [
        [1, 1, 0, 0, 0],
        [1, 0, 0, 1, 0],
        [0, 0, 0, 1, 1],
    ]
    assert (without_small(mask, 1) == mask).all()
    assert not without_small(mask, 4).any()
