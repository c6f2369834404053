"""Pixels of a grid: from the slide that was tiled, at the place and scale that the file says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histocnn.errors import PatchesError, SlideError
from histocnn.patches.gridpixels import GridPixels
from histocnn.slides.slide import Slide
from histocnn.slides.stain import Stains
from tests.slide_files import position_image, write_pyramid

COORDS = np.array([[0, 0], [128, 64], [256, 128]])


@pytest.fixture
def slide(tmp_path: Path) -> Slide:
    return Slide(write_pyramid(tmp_path / "s1.tiff", position_image(600, 400)))


def grid(slide: Slide, **attributes: Any) -> GridPixels:
    known = {"patch_px": 64, "mpp": 1.0, "slide_mpp": (0.5, 0.5), "slide_path": str(slide.path)}
    known["fingerprint"] = slide.fingerprint
    return GridPixels(slide.path.with_suffix(".h5"), known | attributes, COORDS)


def test_rows_are_read_where_the_file_says(slide: Slide) -> None:
    pixels = grid(slide)
    assert pixels.footprint_l0 == (128, 128)
    np.testing.assert_array_equal(pixels.read(1), slide.read((128, 64), 64, 1.0))
    [batch] = pixels.batches(batch_size=8, threads=2, rows=[2, 0], size_px=None)
    assert batch.rows.tolist() == [2, 0]
    np.testing.assert_array_equal(batch.pixels[0], pixels.read(2))
    [small] = pixels.batches(batch_size=8, threads=1, rows=[0], size_px=32)
    assert small.pixels.shape == (1, 32, 32, 3)


def test_the_files_resolution_wins_over_the_slides(slide: Slide) -> None:
    given = grid(slide, slide_mpp=(0.25, 0.5))
    assert given.footprint_l0 == (256, 128)
    assert given.slide.mpp == (0.25, 0.5)


def test_of_other_tools_files_the_footprint_counts_not_the_nominal_scale(slide: Slide) -> None:
    theirs = grid(slide, mpp=2.5, slide_mpp=(1.25, 1.25), footprint_l0=(128.0, 128.0))
    assert theirs.footprint_l0 == (128, 128)
    assert theirs.slide.mpp == (0.5, 0.5)
    np.testing.assert_array_equal(theirs.read(0), slide.read((0, 0), 64, 1.0))


def test_a_file_without_a_scale_has_no_pixels(slide: Slide) -> None:
    with pytest.raises(PatchesError, match=r"s1\.h5: no patch_px or mpp"):
        grid(slide, patch_px=None).read(0)


def test_the_slide_is_looked_for_when_it_is_needed(slide: Slide, tmp_path: Path) -> None:
    pixels = grid(slide, slide_path=str(tmp_path / "gone.tiff"))
    assert pixels.footprint_l0 == (128, 128)
    with pytest.raises(PatchesError, match=r"its slide .*gone\.tiff is not there.*--slides"):
        pixels.read(0)
    unnamed = grid(slide, slide_path=None)
    with pytest.raises(PatchesError, match="its slide s1 is not there"):
        unnamed.read(0)


def test_another_file_in_the_slides_place_is_refused(slide: Slide) -> None:
    with pytest.raises(PatchesError, match=r"s1\.tiff: not the file that .*s1\.h5 was made from"):
        grid(slide, fingerprint="1-ab").read(0)


@pytest.mark.parametrize("fingerprint", [None, ""])
def test_a_slide_that_a_file_names_without_knowing_it_is_not_opened(
    slide: Slide, fingerprint: str | None
) -> None:
    """Such a file may be a stranger's, and the slide any picture of this machine."""
    named = grid(slide, fingerprint=fingerprint)
    with pytest.raises(PatchesError, match=r"s1\.h5: says no fingerprint.*--slides"):
        named.read(0)
    given = GridPixels(named.file, named.attributes, COORDS, slide.path)
    np.testing.assert_array_equal(given.read(0), slide.read((0, 0), 64, 1.0))


def test_stains_are_those_that_tile_stored(slide: Slide) -> None:
    stored = Stains(((0.6, 0.8, 0.0), (0.0, 0.6, 0.8)), (2.0, 1.0))
    assert grid(slide, stains=stored.to_dict()).stains() == stored


def test_a_slide_that_is_cut_short_while_it_is_read_is_said(slide: Slide) -> None:
    pixels = grid(slide)
    pixels.read(0)
    pixels.check_same()
    os.truncate(slide.path, slide.path.stat().st_size // 2)
    with pytest.raises(SlideError, match=r"s1\.tiff: was changed while it was read"):
        pixels.check_same()
    grid(slide, fingerprint=None).check_same()  # nobody recorded what it was
