"""The page's frame: square pixels, and tiles whose corners are exact."""

from __future__ import annotations

from pathlib import Path

import pytest

from histocnn.errors import ResolutionError, UsageError
from histocnn.slides.slide import Slide
from histocnn.viewing.frame import Frame, frame_of
from tests.slide_files import position_image, write_pyramid


def test_square_pixels_are_level_0() -> None:
    frame = Frame((100_000, 90_000), (0.25, 0.25))
    assert frame.size_px == (100_000, 90_000)
    assert frame.depth == 9  # 256 × 2^9 = 131,072
    assert frame.mpp_at(9) == 0.25
    assert frame.mpp_at(0) == 128.0
    assert frame.corner_l0(9, 390, 351) == (99_840, 89_856)


def test_the_coarser_axis_is_stretched() -> None:
    frame = Frame((1000, 600), (0.5, 0.75))
    assert frame.unit == 0.5
    assert frame.size_px == (1000, 900)
    # Tile (1, 1) of the frame's own pixels begins at 256 px of the frame: 128 µm.
    assert frame.corner_l0(frame.depth, 1, 1) == pytest.approx((256, 128 / 0.75))


def test_a_slide_smaller_than_a_tile_has_one() -> None:
    frame = Frame((100, 30), (1.0, 1.0))
    assert frame.depth == 0
    assert frame.corner_l0(0, 0, 0) == (0, 0)


@pytest.mark.parametrize("tile", [(3, 0, 0), (-1, 0, 0), (2, 4, 0), (2, 0, 3), (2, -1, 0)])
def test_there_is_no_tile_beside_the_slide(tile: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError):
        Frame((1000, 600), (1.0, 1.0)).corner_l0(*tile)


def test_frame_of_a_slide(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tiff", position_image(300, 200), mpp=(0.5, 1.0))
    assert frame_of(Slide(path)).size_px == (300, 400)
    bare = write_pyramid(tmp_path / "b.tiff", position_image(300, 200), mpp=None)
    with pytest.raises(ResolutionError):
        frame_of(Slide(bare))
