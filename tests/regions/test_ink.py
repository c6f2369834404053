"""What colour says: glass, stain and ink, by densities worked out by hand and on real patches."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from histocnn.regions.ink import density, glass_colour, pen_mask, stain, with_rim
from tests.regions.test_tissue import GLASS, INKS


def test_density_is_the_logarithm_of_glass_over_light_and_never_negative() -> None:
    pixels = np.array([[[99, 199, 49], [255, 199, 199]]], np.uint8)
    found = density(pixels, np.full(3, 199, np.float32))
    # ln(200 / 100), ln(200 / 200), ln(200 / 50); one more than the grey level, for black is dense.
    assert found[0, 0].tolist() == pytest.approx([np.log(2), 0, np.log(4)], abs=1e-6)
    assert found[0, 1].tolist() == [0, 0, 0]


def test_stain_is_what_green_absorbs_beyond_the_least_of_red_and_blue() -> None:
    pixels = np.array([[[99, 49, 199], [99, 49, 24]]], np.uint8)
    found = stain(pixels, np.full(3, 199, np.float32))
    # Green ln 4 against blue ln 1; against red ln 2, for blue absorbs ln 8.
    assert found[0].tolist() == pytest.approx([np.log(4), np.log(2)], abs=1e-6)


def test_glass_is_bright_and_grey_but_not_the_white_of_nothing() -> None:
    image = np.full((100, 100, 3), 255, np.uint8)
    image[:10] = GLASS
    image[50:] = (200, 120, 190)
    assert glass_colour(image).tolist() == list(GLASS)
    assert glass_colour(np.full((9, 9, 3), 255, np.uint8)).tolist() == [245, 245, 245]


def test_stain_of_glass_and_greys_is_zero() -> None:
    assert stain(np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3)).max() < 0.02


def test_a_border_is_ink_from_a_third_on() -> None:
    image = np.full((40, 60, 3), GLASS, np.uint8)
    image[:, 30:] = INKS["green"]
    for share, inked in [(0.2, False), (0.5, True)]:
        mixed = share * np.array(INKS["green"]) + (1 - share) * np.array(GLASS)
        image[:, 29] = np.round(mixed).astype(np.uint8)
        pen = with_rim(pen_mask(image), image)
        assert pen[:, 30:].all()
        assert not pen[:, :29].any()
        assert (pen[:, 29] == inked).all()


def lymph_node_patches(shared: Path) -> Iterator[NDArray[np.uint8]]:
    with zipfile.ZipFile(shared / "data" / "patches" / "camelyon16-256px.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".png"):
                coded = np.frombuffer(archive.read(name), np.uint8)
                yield np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1])


def test_blue_lymphocytes_are_not_pen(shared: Path) -> None:
    shares = [pen_mask(patch).mean() for patch in lymph_node_patches(shared)]
    assert len(shares) == 89
    assert np.mean(shares) <= 0.01
