"""The heatmap as OME-TIFF: a channel per class, a pixel per cell, in µm, halves of means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from defusedxml.ElementTree import fromstring

from histocnn.exports.ometiff import _pyramid, write_ome_tiff
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
