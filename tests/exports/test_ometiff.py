"""The heatmap as OME-TIFF: a channel per class, a pixel per cell, in µm, halves of means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from defusedxml.ElementTree import fromstring

from histocnn.exports.ometiff import _pyramid, write_ome_tiff
from histocnn.patches.grid import build_grid
from histocnn.scores.scored import ScoredSlide
from tests.exports.scored_slide import scored_slide

NAN = float("nan")


def test_a_channel_is_the_raster_and_says_its_scale(tmp_path: Path) -> None:
    slide = scored_slide([0.75, 0.5, NAN, 0.25, 1.0, 0.0], novelty=[1, 2, NAN, 4, 5, 100])
    write_ome_tiff(slide, tmp_path / "a.ome.tiff", classes=[1])
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as tiff:
        tumour, novelty = tiff.asarray()
        pixels = next(e for e in fromstring(tiff.ome_metadata).iter() if e.tag.endswith("}Pixels"))
    np.testing.assert_array_equal(tumour, [[0.75, 0.5, NAN], [0.25, 1.0, 0.0]])
    np.testing.assert_allclose(novelty, [[1, 2, NAN], [4, 5, 100]], rtol=1e-6)
    assert (pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeXUnit")) == ("100.0", "µm")
    assert [c.get("Name") for c in pixels if c.tag.endswith("}Channel")] == ["tumour", "novelty"]


def test_the_pixel_of_a_dense_map_is_its_stride(tmp_path: Path) -> None:
    """112 px at every 28 px of 0.5 µm/px: a pixel is 14 µm wide, 56 level-0 px of 0.25 µm."""
    grid = build_grid((1120, 560), (0.25, 0.25), patch_px=112, mpp=0.5, overlap_px=84)
    tumour = np.zeros(len(grid), np.float32)
    slide = ScoredSlide("s1", grid, np.stack([1 - tumour, tumour], 1), ("normal", "tumour"))
    write_ome_tiff(slide, tmp_path / "a.ome.tiff", classes=[1])
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as tiff:
        assert tiff.asarray().shape == (10, 20)
        pixels = next(e for e in fromstring(tiff.ome_metadata).iter() if e.tag.endswith("}Pixels"))
    assert (pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeY")) == ("14.0", "14.0")


def test_a_halved_pixel_is_the_mean_of_what_was_scored() -> None:
    level = np.full((1, 257, 513), NAN, np.float32)
    level[0, :2, :2] = [[0.2, 0.4], [NAN, 0.6]]
    level[0, 256, 512] = 0.8  # alone in the odd corner
    first, second, third = _pyramid(level)
    assert first is level
    assert second.shape == (1, 129, 257)
    assert second[0, 0, 0] == np.float32(0.4)
    assert second[0, 128, 256] == np.float32(0.8)
    assert np.isfinite(second).sum() == 2
    assert third.shape == (1, 65, 129)
