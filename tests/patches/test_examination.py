"""What is found out about a slide with one fault at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histocnn.cohort.sheet import SlideEntry
from histocnn.patches.examination import examine
from histocnn.patches.tiling import Options
from tests.slide_files import damage_tile, write_pyramid

OPTIONS = Options(patch_px=128, mpp=2.0)


def slide_file(folder: Path, **how: Any) -> Path:
    """600 × 400 px: glass, and tissue in the square of 256 px from (128, 128)."""
    image = np.full((400, 600, 3), 245, np.uint8)
    noise = np.random.default_rng(0).integers(-20, 20, (256, 256, 1))
    image[128:384, 128:384] = np.array([200, 120, 170]) + noise
    return write_pyramid(folder / "a.tiff", image, **({"mpp": 2.0} | how))


def test_a_sound_slide_is_measured(tmp_path: Path) -> None:
    findings = examine(SlideEntry("a", slide_file(tmp_path)), OPTIONS)
    assert findings.verdict == "ok"
    assert (findings.size_l0, findings.reader) == ((600, 400), "jpeg-tiff")
    assert findings.slide_mpp == pytest.approx((2.0, 2.0))
    assert findings.patches == 4
    assert findings.pixel_bytes == 4 * 128 * 128 * 3
    assert findings.tissue_mm2 == pytest.approx(512**2 * 1e-6, rel=0.15)  # with its smoothed rim
    assert findings.levels[0] == {
        "size_px": (600, 400),
        "downsample": (1.0, 1.0),
        "tile_px": [256, 256],
    }


def test_the_sheets_resolution_goes_before_the_options_and_the_files_own(tmp_path: Path) -> None:
    path = slide_file(tmp_path)
    given = Options(patch_px=128, mpp=2.0, slide_mpp=1.5)
    assert examine(SlideEntry("a", path), given).slide_mpp == (1.5, 1.5)
    findings = examine(SlideEntry("a", path, mpp=1.0), given)
    assert (findings.slide_mpp, findings.file_mpp) == ((1.0, 1.0), pytest.approx((2.0, 2.0)))
    assert findings.warnings == [
        "given 1 µm/px, but the file says 2",
        "TIFF resolution tags say 2 µm/px, used is 1",
    ]


def test_pixels_that_are_not_square_deserve_a_look(tmp_path: Path) -> None:
    path = slide_file(tmp_path, mpp=(2.0, 1.5))
    findings = examine(SlideEntry("a", path), OPTIONS)
    assert findings.warnings == ["pixels are not square: 2 × 1.5 µm"]
    assert findings.verdict == "look"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(patch_px=128, mpp=1.0), "Ask for --mpp 2 or more"),
        (Options(patch_px=512, mpp=2.0), "more than the slide's 600 × 400"),
    ],
)
def test_a_sound_slide_that_cannot_be_cut_as_asked_is_a_misfit(
    tmp_path: Path, options: Options, said: str
) -> None:
    findings = examine(SlideEntry("a", slide_file(tmp_path)), options)
    assert (findings.verdict, findings.problems, findings.patches) == ("look", [], None)
    assert said in findings.misfit
    assert findings.tissue_mm2 is not None


def test_what_breaks_is_a_problem_and_what_was_learnt_before_stays(tmp_path: Path) -> None:
    path = slide_file(tmp_path, downsamples=(1, 2))
    damage_tile(path, level=1, col=0, row=0)
    findings = examine(SlideEntry("a", path), OPTIONS)
    assert findings.verdict == "unusable"
    assert [problem.split(":")[0] for problem in findings.problems] == ["level 1"]
    assert findings.size_l0 == (600, 400)
    assert findings.patches is None


def test_a_file_that_is_no_slide_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "a.svs").write_bytes(b"nonsense")
    findings = examine(SlideEntry("a", tmp_path / "a.svs"), OPTIONS)
    assert findings.verdict == "unusable"
    assert "cannot be opened as a slide" in findings.problems[0]
    assert findings.slide_mpp is None
