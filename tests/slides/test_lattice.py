"""Regions with the patches' own pixels, wherever they begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.slides.lattice import Lattice
from histocnn.slides.slide import Slide
from histocnn.slides.stream import stream_crops
from tests.slide_files import position_colour, position_image, write_pyramid


def square(slide: Slide, start: tuple[int, int], side_px: int, mpp: float) -> np.ndarray:
    lattice = Lattice.of(slide, 100, mpp)
    start_px = np.array(start)
    crops = lattice.crops(slide, start_px[None], side_px, mpp)
    [batch] = stream_crops(slide, crops)
    return lattice.pixels(batch.pixels[0], start_px, side_px)


def slide_of(folder: Path, mpp: float | tuple[float, float], w: int = 1600, h: int = 1200) -> Slide:
    path = write_pyramid(
        folder / "s.tiff", position_image(w, h), downsamples=(1,), mpp=mpp,
        compression="deflate",
    )  # fmt: skip
    return Slide(path)


@pytest.mark.parametrize(("own", "mpp", "times"), [(0.5, 0.5, 1), (0.25, 0.5, 2), (0.25, 1.0, 4)])
def test_whole_multiples_are_what_slide_read_gives(
    tmp_path: Path, own: float, mpp: float, times: int
) -> None:
    slide = slide_of(tmp_path, own)
    assert Lattice.of(slide, 100, mpp).times == (times, times)
    at_l0 = 30 * times, -10 * times
    difference = square(slide, (30, -10), 150, mpp).astype(int) - slide.read(at_l0, 150, mpp)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("own", [0.499, 0.503, (0.499, 0.502), 0.2495])
def test_squares_of_odd_scales_are_copies_and_agree_where_they_overlap(
    tmp_path: Path, own: float | tuple[float, float]
) -> None:
    slide = slide_of(tmp_path, own)
    whole = square(slide, (0, 0), 500, 0.5)
    part = square(slide, (137, 61), 300, 0.5)
    np.testing.assert_array_equal(part, whole[61:361, 137:437])
    own_x, own_y = slide.require_mpp()
    # The colour of each pixel tells where it comes from: within a pixel of its exact place.
    x = (np.arange(500) + 0.5) * 0.5 / own_x
    y = (np.arange(500) + 0.5) * 0.5 / own_y
    exact = position_colour(x[None], y[:, None])
    away = np.abs(whole.astype(float) - exact)[..., :2] / 3.98 / (0.5 / own_x)
    assert np.quantile(away, 0.99) <= 1.0


def test_what_patches_resample_regions_do_too(tmp_path: Path) -> None:
    slide = slide_of(tmp_path, 0.36)
    assert Lattice.of(slide, 100, 0.5).times == (0, 0)
    px_l0 = 0.5 / slide.require_mpp()[0]
    expected = slide.read((20 * px_l0, 40 * px_l0), 200, 0.5)
    np.testing.assert_array_equal(square(slide, (20, 40), 200, 0.5), expected)
