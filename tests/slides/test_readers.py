"""What all readers share: white outside, tiles put together, errors that name the tile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import ReadError
from histocnn.slides.readers import over_white
from histocnn.slides.slide import Slide
from tests.slide_files import (
    damage_tile,
    position_image,
    write_bounds_slide,
    write_pyramid,
)

APERIO = "Aperio Image Library v1\r\n600x500|AppMag = 20|MPP = 0.5"


def test_outside_the_level_is_white(tmp_path: Path) -> None:
    image = np.zeros((300, 280, 3), np.uint8)
    for compression in ("jpeg", "adobe_deflate"):
        path = write_pyramid(tmp_path / f"{compression}.tif", image, compression=compression)
        pixels = Slide(path).reader.read(0, -10, -20, 300, 340)
        inside = np.zeros((340, 300), bool)
        inside[20:320, 10:290] = True
        assert (pixels[inside] == 0).all()
        assert (pixels[~inside] == 255).all()
        for x, y in ((141, 0), (1000, 0), (0, 151), (-5, 0), (0, -5)):  # level 1 is 140×150
            assert (Slide(path).reader.read(1, x, y, 5, 5) == 255).all()


def test_transparent_is_white(tmp_path: Path) -> None:
    slide = Slide(write_bounds_slide(tmp_path / "bounds.scn"))
    assert (slide.vendor, slide.reader.name) == ("leica", "openslide")
    assert (slide.reader.read(0, 0, 0, 256, 768) == 255).all()
    scanned = slide.reader.read(0, 256, 128, 512, 384)
    assert np.abs(scanned.astype(int) - position_image(1024, 768)[128:512, 256:768]).max() <= 8
    rgba = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 100, 255, 51]]], np.uint8)
    assert over_white(rgba).tolist() == [[[255] * 3, [10, 20, 30], [204, 224, 255]]]


@pytest.mark.parametrize("description", [None, APERIO])
def test_a_damaged_tile_is_named_and_the_rest_is_read(
    tmp_path: Path, description: str | None
) -> None:
    path = write_pyramid(tmp_path / "s.svs", position_image(700, 600), description=description)
    damage_tile(path, 0, 1, 0)
    reader = Slide(path).reader
    with pytest.raises(ReadError, match=r"s\.svs: tile column 1, row 0 of level 0"):
        reader.read(0, 200, 0, 100, 100)
    assert reader.read(0, 0, 300, 100, 100).shape == (100, 100, 3)
