"""A pyramid written block by block is the slide that its blocks show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from numpy.typing import NDArray

from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.phantom.pyramid import GLASS, write_pyramid
from histocnn.phantom.stain import BLOCK_PX

SIZE = (BLOCK_PX + 300, 700)


def paint(x: int, y: int) -> NDArray[np.uint8] | None:
    """The left block is dark in its left half; the right one is glass."""
    if x:
        return None
    block = np.full((BLOCK_PX, BLOCK_PX, 3), GLASS, np.uint8)
    block[:, : BLOCK_PX // 2] = (90, 60, 120)
    return block


def test_every_level_shows_the_blocks(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "s.tif", paint, SIZE, 0.5)
    with openslide.OpenSlide(tmp_path / "s.tif") as slide:
        assert slide.level_dimensions == ((2348, 700), (1174, 350), (587, 175), (294, 88))
        for level, (w, h) in enumerate(slide.level_dimensions):
            image = np.asarray(slide.read_region((0, 0), level, (w, h)).convert("RGB")).astype(int)
            edge = BLOCK_PX // 2 >> level
            assert np.abs(image[:, : edge - 2] - (90, 60, 120)).max() <= 6
            assert np.abs(image[:, edge + 8 :] - GLASS).max() <= 6


@pytest.mark.parametrize("sparse", [False, True])
def test_glass_has_tiles_unless_the_slide_is_sparse(tmp_path: Path, sparse: bool) -> None:
    write_pyramid(tmp_path / "s.tif", paint, SIZE, 0.5, sparse=sparse)
    with tifffile.TiffFile(tmp_path / "s.tif") as tiff:
        counts = np.array(tiff.pages[0].databytecounts).reshape(3, 10)  # rows, columns of 256 px
    assert (counts[:, :8] > 0).all()
    assert ((counts[:, 8:] == 0) == sparse).all()


@pytest.mark.parametrize("size_px", [(1, 1), (255, 257), (2049, 300)])
@pytest.mark.parametrize("mpp", [0.25, 2.0])
def test_any_size_opens_at_its_resolution(
    tmp_path: Path, size_px: tuple[int, int], mpp: float
) -> None:
    make_phantom(tmp_path / "x.tif", PhantomSpec(size_px, mpp=mpp, pen="blue", blur=True))
    with openslide.OpenSlide(tmp_path / "x.tif") as slide:
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        assert slide.dimensions == size_px
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(mpp, rel=1e-6)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(mpp, rel=1e-6)
        for level, size in enumerate(slide.level_dimensions):
            slide.read_region((0, 0), level, size)
