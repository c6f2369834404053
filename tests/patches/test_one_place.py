"""One patch around a point: where it lies, what it shows, and points that cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import UsageError
from histocnn.patches.one_place import OnePlace
from histocnn.slides.slide import Slide
from tests.slide_files import position_image, write_pyramid


def test_it_is_the_slides_patch_around_the_point(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "s.tiff", position_image(400, 300), mpp=0.5)
    slide = Slide(tmp_path / "s.tiff")
    place = OnePlace(slide, (200, 150), 32, 1.0, slide_id="s", patient_id="p")
    assert place.datasets["coords"].tolist() == [[168, 118]]  # 64 level-0 px wide
    np.testing.assert_array_equal(place.patch(0), slide.read((168, 118), 32, 1.0))
    assert (len(place), place.patient_ids, place.slide_ids) == (1, ["p"], ["s"])
    assert place.slide_fingerprint == slide.fingerprint
    corner = OnePlace(slide, (0, 0), 32, 1.0, slide_id="s")
    assert (corner.patch(0)[:16] == 255).all()  # what lies outside is white


def test_points_off_the_slide_and_slides_too_coarse_are_refused(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "s.tiff", position_image(400, 300), mpp=0.5)
    slide = Slide(tmp_path / "s.tiff")
    for at in ((400, 1), (-1, 1), (1, 300), (float("nan"), 1)):
        with pytest.raises(UsageError, match="x from 0 to 399 and y from 0 to 299"):
            OnePlace(slide, at, 32, 1.0, slide_id="s")
    with pytest.raises(UsageError, match="coarser"):
        OnePlace(slide, (9, 9), 32, 0.25, slide_id="s")
