"""Colours: told apart, even, and transparent where nothing is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from histocnn.pictures.palette import OKABE_ITO, class_colours, map_table, paint_classes, shade


@pytest.mark.parametrize("name", ["viridis", "plasma"])
def test_a_map_grows_lighter_from_one_end_to_the_other(name: str) -> None:
    table = map_table(name)
    assert table.shape == (256, 3)
    luminance = table @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luminance) > -1).all()
    assert luminance[-1] > luminance[0] + 150


def test_values_beyond_the_ends_are_those_of_the_ends() -> None:
    below, low, high, above = shade(np.array([-0.5, 0.0, 1.0, 7.0]))
    assert np.array_equal(below, low)
    assert np.array_equal(high, above)


def test_class_colours_are_okabe_ito_and_never_repeat() -> None:
    colours = class_colours(20)
    assert (colours[:8] == OKABE_ITO).all()
    assert len(np.unique(colours, axis=0)) == 20


def test_not_scored_is_transparent_and_zero_is_not() -> None:
    painted = shade(np.array([np.nan, 0.0, 1.0], dtype=np.float32), "viridis")
    assert painted[:, 3].tolist() == [0, 255, 255]
    assert painted[1, :3].tolist() == [68, 1, 84]  # the two ends of viridis
    assert painted[2, :3].tolist() == [253, 231, 36]


def test_unknown_class_is_transparent() -> None:
    painted = paint_classes(np.array([-1, 1]), class_colours(2))
    assert painted.tolist()[0][3] == 0
    assert painted.tolist()[1] == [230, 159, 0, 255]


def test_classes_that_stand_beside_each_other_are_never_both_blue() -> None:
    """Blue is a hue of 180° to 270°; of up to six classes one is blue."""
    import colorsys

    hues = [colorsys.rgb_to_hsv(*(colour / 255)) for colour in class_colours(24)]
    blue = [185 < hue * 360 < 270 and saturation > 0.05 for hue, saturation, _ in hues]
    assert sum(blue[:6]) == 1
    assert not any(a and b for a, b in itertools.pairwise(blue))
