"""Colours: told apart, even, and transparent where nothing is known."""

from __future__ import annotations

import colorsys
import itertools

import numpy as np
import pytest

from histocnn.errors import UsageError
from histocnn.pictures.palette import (
    OKABE_ITO,
    check_colours,
    class_colours,
    map_table,
    palette,
    parse_colours,
    shade,
)


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


@pytest.mark.parametrize("name", ["viridis", "plasma"])
def test_a_map_is_matplotlibs(name: str) -> None:
    from matplotlib import colormaps

    theirs = colormaps[name](np.arange(256), bytes=True)[:, :3].astype(int)
    assert np.abs(map_table(name) - theirs).max() <= 7
    assert np.abs(map_table(name) - theirs).mean() < 1


def test_the_palette_is_okabe_ito_and_never_repeats() -> None:
    colours = palette(20)
    assert (colours[:8] == OKABE_ITO).all()
    assert len(np.unique(colours, axis=0)) == 20


def hue_of(colour: np.ndarray) -> float:
    return colorsys.rgb_to_hsv(*(colour / 255))[0] * 360


@pytest.mark.parametrize(
    "names",
    [
        ("normal", "tumour"),
        ("Tumor", "stroma", "normal"),
        ("adenocarcinoma", "healthy", "carcinoma in situ", "no tumour"),
        ("metastases", "lymph node", "fat", "Exclusion"),
    ],
)
def test_tumours_are_warm_and_nothing_beside_them_is(names: tuple[str, ...]) -> None:
    for name, colour in zip(names, class_colours(names), strict=True):
        tumour = any(part in name.lower() for part in ("tumo", "carcinoma", "metasta"))
        if name == "no tumour":
            tumour = False
        assert (hue_of(colour) < 60) == tumour, name


def test_twenty_classes_are_twenty_colours_whatever_they_are_called() -> None:
    names = [f"tumour {i}" for i in range(10)] + [f"class {i}" for i in range(10)]
    assert len(np.unique(class_colours(names), axis=0)) == 20
    assert (class_colours(["a", "b", "c"]) == OKABE_ITO[:3]).all()


def test_a_chosen_colour_is_taken_and_changes_no_other() -> None:
    names = ("normal", "tumour", "stroma")
    plain, chosen = (
        class_colours(names),
        class_colours(names, {"normal": (1, 2, 3), "x": (0, 0, 0)}),
    )
    assert chosen[0].tolist() == [1, 2, 3]
    assert (chosen[1:] == plain[1:]).all()


@pytest.mark.parametrize(
    "text", ["tumour", "tumour=red", "=#c00", "tumour=#c0", "tumour=#c00,tumour=#0c0", "a=#c00c"]
)
def test_what_gives_no_class_its_colour_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--colours"):
        parse_colours(text)


def test_colours_are_read_as_written_and_strangers_are_named() -> None:
    assert parse_colours("") == {}
    assert parse_colours("a=b=#abc, c d=#010203") == {"a=b": (170, 187, 204), "c d": (1, 2, 3)}
    with pytest.raises(UsageError, match="there is no class 'c d'"):
        check_colours({"c d": (1, 2, 3)}, ("a", "b"))
    check_colours({"a": (1, 2, 3)}, ("a", "b"))


def test_a_value_has_its_steps_colour() -> None:
    painted = shade(np.array([np.nan, 0.0, 1.0], dtype=np.float32), "viridis")
    assert painted[1].tolist() == [68, 1, 84]  # the two ends of viridis
    assert painted[2].tolist() == [253, 231, 36]


def test_classes_that_stand_beside_each_other_are_never_both_blue() -> None:
    """Blue is a hue of 180° to 270°; of up to six classes one is blue."""
    hues = [colorsys.rgb_to_hsv(*(colour / 255)) for colour in palette(24)]
    blue = [185 < hue * 360 < 270 and saturation > 0.05 for hue, saturation, _ in hues]
    assert sum(blue[:6]) == 1
    assert not any(a and b for a, b in itertools.pairwise(blue))
