"""Neighbouring sections are told from other tissue, turned, mirrored, warped, stained anew."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from histocnn.phantom.cohort import make_cohort
from histocnn.phantom.paint import Painter
from histocnn.phantom.pyramid import write_pyramid
from histocnn.phantom.tissue import lay_out
from histocnn.regions.sections import Section, alike, section, section_of
from histocnn.regions.tissue import detect_tissue
from histocnn.slides.slide import Slide

SIZE, MPP = (1024, 1024), 2.0


def look(path) -> Section:
    slide = Slide(path)
    found = section_of(slide, detect_tissue(slide))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> list[Section]:
    table = make_cohort(tmp_path_factory.mktemp("cohort"), size_px=SIZE, mpp=MPP)
    return [look(path) for path in sorted(table.parent.glob("slides/*.tif"))]


@pytest.fixture(scope="module")
def neighbour(tmp_path_factory) -> Section:
    """The next section of the cohort's first slide: its glands, other nuclei, another stain."""
    path = tmp_path_factory.mktemp("next") / "a.tif"
    size_um = (SIZE[0] * MPP, SIZE[1] * MPP)
    tissue_um = (0.84 * size_um[0], 0.84 * size_um[1])
    layout = lay_out(
        np.random.default_rng([0, 0]), size_um, tissue_um, lesions=1, pen=False, blur=False
    )
    write_pyramid(path, Painter(layout, SIZE, MPP, "B", None, 777).paint, SIZE, MPP, sparse=False)
    return look(path)


def warped(original: Section, seed: int, degrees: float, quarter: int, mirror: bool) -> Section:
    """Turned, stretched by half a pixel of 32, with noise, in another orientation."""
    rng = np.random.default_rng(seed)
    side = len(original.density)
    matrix = cv2.invertAffineTransform(
        cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), degrees, 1)
    )
    rows, cols = np.mgrid[:side, :side].astype(np.float32)
    push = [cv2.resize(rng.normal(0, 0.5, (5, 5)).astype(np.float32), (side, side)) for _ in "xy"]
    x = (matrix[0, 0] * cols + matrix[0, 1] * rows + matrix[0, 2] + push[0]).astype(np.float32)
    y = (matrix[1, 0] * cols + matrix[1, 1] * rows + matrix[1, 2] + push[1]).astype(np.float32)

    def move(image: NDArray[np.float32]) -> NDArray[np.float32]:
        moved = np.rot90(cv2.remap(image, x, y, cv2.INTER_LINEAR), quarter)
        return np.ascontiguousarray(moved[:, ::-1] if mirror else moved)

    noise = rng.normal(0, 0.3 * original.density.std(), (side, side)).astype(np.float32)
    made = section(move(original.density) * 1.2 + noise, move(original.tissue), original.area_um2)
    assert made is not None
    return made


def test_slides_of_a_cohort_are_not_alike(cohort: list[Section]) -> None:
    assert list(alike(cohort)) == []


def test_the_next_section_is(cohort: list[Section], neighbour: Section) -> None:
    [(first, second, likeness)] = alike([*cohort, neighbour])
    assert (first, second) == (0, 8)
    assert likeness > 0.7


@pytest.mark.parametrize("degrees", [-10, -5, 0, 7])
@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_turned_mirrored_and_stretched(
    cohort: list[Section], degrees: float, quarter: int, mirror: bool
) -> None:
    moved = warped(cohort[1], 3, degrees, quarter, mirror)
    assert [pair[:2] for pair in alike([*cohort, moved])] == [(1, 8)]


def test_areas_that_differ_by_more_than_half_are_not_compared(cohort: list[Section]) -> None:
    one = cohort[0]
    half = Section(one.density, one.tissue, one.area_um2 * 0.4)
    assert [pair[:2] for pair in alike([one, half, one])] == [(0, 2)]


def test_glass_and_plain_tissue_are_left_out() -> None:
    ones = np.ones((8, 8), np.float32)
    assert section(ones, 0 * ones, 1.0) is None
    assert section(ones, ones, 1.0) is None
    assert list(alike([None, None])) == []
