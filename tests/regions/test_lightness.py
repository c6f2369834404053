"""A second opinion on tissue: lightness alone, on slides that H&E's colours do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.regions.ink import glass_colour
from histocnn.regions.lightness import covered, is_dark_field, lit
from tests.regions.strange_slides import GLASS, STRANGE, dark_field, section

UM8 = (8.0, 8.0)


@pytest.mark.parametrize("name", sorted(set(STRANGE) - {"dark_field"}))
def test_whatever_lies_on_the_glass_is_covered_and_little_else(name: str) -> None:
    rgb, truth = STRANGE[name](), section()
    found = covered(rgb, glass_colour(rgb), UM8)
    assert (found & truth).sum() >= 0.95 * truth.sum()
    assert (found & ~truth).sum() <= 0.06 * truth.sum()
    assert not is_dark_field(rgb)


def test_what_shines_in_a_dark_field() -> None:
    rgb, truth = dark_field(), section()
    assert is_dark_field(rgb)
    found = lit(rgb, UM8)
    assert (found & truth).sum() >= 0.95 * truth.sum()
    assert (found & ~truth).sum() <= 0.06 * truth.sum()
    assert not lit(np.full((50, 60, 3), 4, np.uint8), UM8).any()


def test_black_around_bright_field_is_no_dark_field() -> None:
    rgb = np.zeros((200, 300, 3), np.uint8)  # a scanner that fills what it left out with black
    rgb[:40] = GLASS
    assert not is_dark_field(rgb)
