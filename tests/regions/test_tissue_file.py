"""Tissue that somebody edited: GeoJSON in either frame, PNG masks, and files that are neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import shapely

from histocnn.errors import AnnotationError
from histocnn.regions.annotations import read_annotations
from histocnn.regions.tissue import TissueMask, detect_tissue
from histocnn.regions.tissue_file import load_tissue
from histocnn.slides.slide import Slide
from tests.slide_files import write_bounds_slide, write_pyramid


@pytest.fixture(scope="module")
def tissue_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1200 × 800 px at 4 µm/px, stained from (400, 200) to (800, 600)."""
    path = tmp_path_factory.mktemp("tissue") / "s.tiff"
    image = np.full((800, 1200, 3), (242, 241, 243), np.uint8)
    image[200:600, 400:800] = (226, 140, 190)
    return write_pyramid(path, image, mpp=4.0)


def test_geojson_gives_the_same_mask_back(tissue_slide: Path, tmp_path: Path) -> None:
    slide = Slide(tissue_slide)
    tissue = detect_tissue(slide)
    tissue.to_geojson(tmp_path / "t.geojson")
    assert (load_tissue(tmp_path / "t.geojson", slide).mask == tissue.mask).all()


def test_geojson_is_in_qupaths_frame_where_the_slide_has_bounds(tmp_path: Path) -> None:
    slide = Slide(write_bounds_slide(tmp_path / "s.scn", mpp=8.0))
    assert slide.bounds_l0 is not None
    x, y, *_ = slide.bounds_l0
    mask = np.zeros((slide.size_l0[1], slide.size_l0[0]), bool)
    mask[y + 10 : y + 30, x + 20 : x + 50] = True
    tissue = TissueMask(mask, slide.size_l0, slide.require_mpp(), slide.bounds_l0)
    for frame, origin in (("bounds", (x, y)), ("slide", (0, 0))):
        path = tmp_path / f"{frame}.geojson"
        tissue.to_geojson(path, frame=frame)  # type: ignore[arg-type]
        drawn = read_annotations(path, slide.size_l0, frame="slide").classes["Tissue"]
        assert drawn.bounds[:2] == (x + 20 - origin[0], y + 10 - origin[1])
        assert (load_tissue(path, slide, frame=frame).mask == mask).all()  # type: ignore[arg-type]


def test_png_replaces_detection(tissue_slide: Path, tmp_path: Path) -> None:
    slide = Slide(tissue_slide)
    mask = np.zeros((80, 120), np.uint8)
    mask[10:20, 30:60] = 255
    path = tmp_path / "t.png"
    cv2.imwrite(str(path), mask)
    tissue = load_tissue(path, slide)
    assert tissue.polygons().equals(shapely.box(300, 100, 600, 200))


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((120, 80), np.uint8), "another aspect"),
        (np.arange(9600, dtype=np.uint8).reshape(80, 120), "256 grey levels"),
        (np.tile(np.uint8([5, 9]), (80, 60)), "2 grey levels"),
        (None, "not a PNG"),
    ],
)
def test_png_that_is_no_mask(tissue_slide: Path, tmp_path: Path, image: Any, said: str) -> None:
    path = tmp_path / "t.png"
    if image is None:
        path.write_bytes(b"nonsense")
    else:
        cv2.imwrite(str(path), image)
    with pytest.raises(AnnotationError, match=said):
        load_tissue(path, Slide(tissue_slide))
    with pytest.raises(AnnotationError, match="cannot be read"):
        load_tissue(tmp_path / "missing.png", Slide(tissue_slide))
