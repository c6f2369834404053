"""The rule of receptive fields, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

from histocnn.inspection.fields import Axis, join, moved, of_image, reshaped

PIXEL = Axis(3, 28, 1, 1, 0)


def test_a_window_adds_its_reach_times_the_jump_and_multiplies_the_jump() -> None:
    seven = PIXEL.windowed(7, 2, 3)  # ResNet's first: 7 px, every second, from -3
    assert (seven.size_px, seven.jump_px, seven.first_px, seven.offset_px) == (7, 2, -3, 0)
    pooled = seven.windowed(3, 2, 1)  # 7 + 2 · 2 = 11, from -3 - 2
    assert (pooled.size_px, pooled.jump_px, pooled.first_px) == (11, 4, -5)
    assert pooled.windowed(3, 1, 2, dilation=2).size_px == 11 + 4 * 4


def test_what_pools_evenly_has_a_window_and_what_leaves_one_unit_sees_all() -> None:
    axis = replace(PIXEL, cells=12, jump_px=2, size_px=3)
    assert axis.pooled(12) == axis
    assert (axis.pooled(4).size_px, axis.pooled(4).jump_px) == (3 + 2 * 2, 6)
    whole = axis.pooled(1)
    assert (whole.size_px, whole.whole, whole.cells, whole.offset_px) == (25, True, 1, None)
    assert axis.pooled(5).size_px == 3 + 3 * 2  # 12 cells over 5: up to 4 of them


def test_branches_join_to_what_any_of_them_sees() -> None:
    wide, slim = PIXEL.windowed(5, 1, 2), PIXEL
    assert wide.joined(slim) == wide
    assert slim.joined(wide) == wide
    # padded on one side only: 0..2 and -2..0 give -2..2
    right, left = PIXEL.windowed(3, 1, 0), PIXEL.windowed(3, 1, 2)
    both = right.joined(left)
    assert both is not None
    assert (both.size_px, both.first_px) == (5, -2)
    assert PIXEL.joined(replace(PIXEL, jump_px=2)) is None
    assert PIXEL.joined(replace(PIXEL, cells=14)) is None


def test_a_map_weighed_by_what_the_whole_image_holds_sees_the_whole_image() -> None:
    local, pooled = PIXEL.windowed(3, 1, 1), PIXEL.mixed(cells=1)
    weighed = local.joined(pooled)
    assert weighed is not None
    assert (weighed.size_px, weighed.cells, weighed.whole) == (28, 28, True)


def test_padding_moves_the_first_unit() -> None:
    assert PIXEL.padded(2, 2) == replace(PIXEL, first_px=-2, cells=32)


def test_tokens_lie_in_one_dimension_and_come_out_of_it_unknown() -> None:
    image = of_image((1, 8, 4, 6))
    tokens = reshaped(image, (1, 8, 4, 6), (1, 8, 24))
    assert tokens is not None
    assert [axis.dim for axis in tokens] == [2, 2]
    assert reshaped(tokens, (1, 8, 24), (1, 8, 4, 6)) is None
    grouped = reshaped(image, (1, 8, 4, 6), (1, 2, 4, 4, 6))
    assert grouped is not None
    assert [axis.dim for axis in grouped] == [3, 4]
    assert reshaped(image, (1, 8, 4, 6), (1, 8, 2, 2, 6)) is None  # rows cut into windows


def test_axes_that_are_gone_stay_gone() -> None:
    rows, columns = moved(of_image((1, 3, 4, 4)), {2: None, 3: 1})
    assert (rows.dim, columns.dim) == (None, 1)
    assert moved((rows, columns), {1: 2})[0].dim is None


def test_what_is_unknown_stays_unknown() -> None:
    assert join([of_image((1, 3, 4, 4)), None]) is None
    assert join([]) is None
