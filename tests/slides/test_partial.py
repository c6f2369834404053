"""What is left of a slide with a damaged tile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import ReadError
from histocnn.slides.partial import read_partly, touching
from histocnn.slides.slide import Slide
from tests.slide_files import damage_tile, position_image, write_pyramid


def test_a_lost_tile_is_white_and_named(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "s.tiff", position_image(600, 500), downsamples=(1,))
    whole = Slide(path).read((200.0, 200.0), 200, 0.5)
    damage_tile(path, level=0, col=1, row=1)
    slide = Slide(path)
    with pytest.raises(ReadError):
        slide.read((200.0, 200.0), 200, 0.5)
    pixels, lost = read_partly(slide, slide.crops([(200.0, 200.0)], 200, 0.5))
    assert lost.tolist() == [[256, 256, 512, 500]]  # cut at the slide's edge
    assert (pixels[56:, 56:] == 255).all()
    pixels[56:, 56:] = whole[56:, 56:]
    np.testing.assert_array_equal(pixels, whole)
    coords = np.array([[156, 300], [157, 300], [511, 400], [512, 400], [300, 156]])
    assert touching(slide, coords, 100, 0.5, lost).tolist() == [False, True, True, False, False]
    undamaged, none = read_partly(slide, slide.crops([(0.0, 0.0)], 100, 0.5))
    assert len(none) == 0
    np.testing.assert_array_equal(undamaged, slide.read((0.0, 0.0), 100, 0.5))
