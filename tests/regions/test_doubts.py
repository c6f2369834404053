"""A slide whose tissue should not be believed is marked, and one that may be is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.regions.doubts import doubts
from histocnn.regions.tissue import TissueSettings, detect_tissue, judged_pixels
from histocnn.slides.slide import Slide
from tests.regions.strange_slides import STRANGE, section
from tests.slide_files import write_pyramid

UM8 = (8.0, 8.0)
SAID = {
    "dark_field": "dark field",
    "blue_stain": "--tissue.pen false",
    "blood_smear": "--tissue.pen false",
    "pale_fat": "--tissue.keep_fat true",
    "grey": "no colour",
    "all_pen": "taken for pen",
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_slide_is_marked_with_what_to_do(name: str) -> None:
    _, why = judged_pixels(STRANGE[name](), UM8, TissueSettings())
    assert SAID[name] in "; ".join(why)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("dark_field", TissueSettings()),
        ("blue_stain", TissueSettings(pen=False, keep_fat=True)),
        ("blood_smear", TissueSettings(pen=False)),
        ("pale_fat", TissueSettings(keep_fat=True)),
    ],
)
def test_doing_what_the_mark_says_finds_the_tissue(name: str, settings: TissueSettings) -> None:
    mask, _ = judged_pixels(STRANGE[name](), UM8, settings)
    truth = section()
    assert (mask & truth).sum() >= 0.95 * truth.sum()
    assert (mask & ~truth).sum() <= 0.1 * truth.sum()


def test_each_reason_by_hand() -> None:
    rgb = np.full((10, 100, 3), (226, 140, 190), np.uint8)
    none = np.zeros((10, 100), bool)

    def columns(start: int, end: int) -> np.ndarray:
        mask = none.copy()
        mask[:, start:end] = True
        return mask

    assert doubts(rgb, columns(0, 50), none, columns(0, 50)) == []
    assert doubts(rgb, columns(0, 80), columns(80, 100), columns(0, 100)) == []  # a fifth
    assert (
        "21% of what is stained"
        in doubts(rgb, columns(0, 79), columns(79, 100), columns(0, 100))[0]
    )
    assert doubts(rgb, columns(0, 96), none, columns(0, 96)) == ["tissue is 96.0% of the slide"]
    half = none.copy()
    half[0, :5] = True
    assert doubts(rgb, half, none, half) == ["tissue is 0.5% of the slide"]
    assert "49% of what lies on the glass" in doubts(rgb, columns(0, 49), none, columns(0, 100))[0]
    light = doubts(rgb, columns(0, 50), none, columns(0, 20))
    assert light == ["60% of the tissue is as light as the glass"]
    assert doubts(rgb, none, none, none) == []  # "no tissue" says it


def test_phantoms_are_not_marked(tmp_path: Path) -> None:
    for seed, pen in enumerate(("red", "black", None)):
        path = tmp_path / f"{seed}.tiff"
        spec = PhantomSpec(size_px=(1024, 1024), mpp=2.0, seed=seed, lab="AB"[seed % 2], pen=pen)  # type: ignore[arg-type]
        make_phantom(path, spec)
        assert detect_tissue(Slide(path)).doubts == ()


@pytest.mark.parametrize("name", ["CMU-1-Small-Region.svs", "CRC01-west.tiff", "CRC01-middle.tiff"])
def test_real_slides_of_he_are_not_marked(shared: Path, name: str) -> None:
    assert detect_tissue(Slide(shared / "data" / "slides" / name)).doubts == ()


def test_a_slide_carries_its_doubts(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "s.tiff", STRANGE["grey"](), mpp=8.0, downsamples=(1,))
    assert "no colour" in detect_tissue(Slide(path)).doubts[0]
