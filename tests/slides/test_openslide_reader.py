"""Pixels through OpenSlide: every other format, each level's own pixels, errors survived."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import openslide
import pytest

from histocnn.errors import ReadError
from histocnn.slides.openslide_reader import OpenSlideReader
from histocnn.slides.slide import Slide
from tests.slide_files import damage_tile, position_image, write_pyramid


def test_a_tile_is_that_of_the_file(tmp_path: Path) -> None:
    image = position_image(600, 400)
    path = write_pyramid(tmp_path / "s.tif", image, compression="lzw", downsamples=(1, 2))
    with openslide.OpenSlide(path) as slide:
        reader = OpenSlideReader(path, slide.level_dimensions, dict(slide.properties))
    assert reader.tile_sizes == ((256, 256), (256, 256))
    assert np.array_equal(reader.tile(0, 1, 0), image[:256, 256:512])


@pytest.mark.parametrize("compression", ["adobe_deflate", "lzw"])
def test_other_compressions_are_openslides(tmp_path: Path, compression: str) -> None:
    image = position_image(601, 487)
    slide = Slide(write_pyramid(tmp_path / "slide.tif", image, compression=compression))
    assert slide.reader.name == "openslide"
    assert np.array_equal(slide.reader.read(0, 0, 0, 601, 487), image)
    half = cv2.resize(image, slide.level_sizes[1], interpolation=cv2.INTER_AREA)
    assert slide.level_sizes[1] == (300, 244)
    # Level 1's downsample is a mean of 601 / 300 and 487 / 244: a pixel is hit to 0.1 px.
    part = slide.reader.read(1, 16, 16, 200, 200).astype(int)
    assert np.abs(part - half[16:216, 16:216]).max() <= 8


def test_openslide_levels_of_integer_downsample_are_hit_exactly(tmp_path: Path) -> None:
    image = position_image(600, 480)
    path = write_pyramid(tmp_path / "s.tif", image, compression="lzw", downsamples=(1, 2, 2.5, 4))
    slide = Slide(path)
    for level, size in enumerate(slide.level_sizes):
        expected = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        pixels = slide.reader.read(level, 3, 5, size[0] - 3, size[1] - 5)
        assert np.array_equal(pixels, expected[5:, 3:]), level


def test_openslides_handle_is_opened_anew_after_an_error(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "s.tif", position_image(700, 600), compression="adobe_deflate")
    damage_tile(path, 0, 1, 0)
    slide = Slide(path)
    assert slide.reader.name == "openslide"
    for _ in range(2):
        with pytest.raises(ReadError, match="column 1, row 0"):
            slide.reader.read(0, 200, 0, 100, 100)
        assert np.array_equal(slide.reader.read(0, 0, 300, 90, 90), position_image(90, 390)[300:])
