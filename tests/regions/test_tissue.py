"""Tissue: what counts as it, on painted slides, phantoms and the shared real ones."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from histocnn.errors import ResolutionError, UsageError
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.regions.annotations import read_annotations
from histocnn.regions.ink import glass_colour
from histocnn.regions.raster import rasterise
from histocnn.regions.tissue import (
    TissueMask,
    TissueSettings,
    detect_tissue,
    tissue_pixels,
)
from histocnn.regions.tissue_file import load_tissue
from histocnn.slides.slide import Slide
from tests.slide_files import write_pyramid

GLASS, EOSIN, HAEMATOXYLIN = (242, 241, 243), (226, 140, 190), (96, 66, 150)
INKS = {
    "blue": (30, 50, 160),
    "green": (20, 130, 90),
    "black": (30, 30, 32),
    "red": (210, 35, 45),
}
UM8 = (8.0, 8.0)


def glass(rows: int = 200, cols: int = 300) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(0, 1, (rows, cols, 1))
    return np.clip(np.array(GLASS) + noise, 0, 255).astype(np.uint8)


def patched(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    image = glass()
    image[50:150, 100:200] = colour
    return image


# --- colours


@pytest.mark.parametrize("colour", [EOSIN, HAEMATOXYLIN, (238, 214, 230), (200, 199, 214)])
def test_stain_is_tissue_be_it_pink_blue_pale_or_mucin(colour: tuple[int, int, int]) -> None:
    mask = tissue_pixels(patched(colour), UM8)
    truth = np.zeros(mask.shape, bool)
    truth[50:150, 100:200] = True
    assert mask[truth].all()
    rim = cv2.dilate(truth.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    assert not mask[~rim].any()


@pytest.mark.parametrize("grey", [0, 40, 120, 200, 255])
def test_grey_black_and_white_are_not_tissue(grey: int) -> None:
    assert not tissue_pixels(patched((grey, grey, grey)), UM8).any()


@pytest.mark.parametrize("colour", INKS.values(), ids=INKS)
def test_ink_on_glass_is_not_tissue(colour: tuple[int, int, int]) -> None:
    assert not tissue_pixels(patched(colour), UM8).any()


@pytest.mark.parametrize("colour", INKS.values(), ids=INKS)
@pytest.mark.parametrize("under", [EOSIN, HAEMATOXYLIN], ids=["eosin", "haematoxylin"])
def test_ink_over_tissue_is_cut_out(
    colour: tuple[int, int, int], under: tuple[int, int, int]
) -> None:
    image = patched(under)
    density = np.log(np.array(GLASS) / colour) + 0.5 * np.log(np.array(GLASS) / under)
    image[90:110, 20:280] = np.array(GLASS) * np.exp(-density)
    mask = tissue_pixels(image, UM8)
    assert not mask[90:110].any()
    assert mask[60:89, 110:190].all()
    assert mask[111:140, 110:190].all()


def test_without_pen_exclusion_blue_ink_is_as_good_as_stain() -> None:
    assert tissue_pixels(patched(INKS["blue"]), UM8, TissueSettings(pen=False))[
        60:140, 110:190
    ].all()


def test_glass_is_measured_not_the_white_of_missing_tiles() -> None:
    image = glass()
    image[:, :250] = 255
    assert np.abs(glass_colour(image) - GLASS).max() <= 3
    assert not tissue_pixels(image, UM8).any()
    full = np.full((50, 50, 3), EOSIN, np.uint8)
    assert tissue_pixels(full, UM8).all()


# --- sizes


def test_holes_and_specks_are_judged_in_um2() -> None:
    image = patched(EOSIN)
    image[90:110, 140:160] = GLASS  # 20 × 20 px of 64 µm²: 25,600 µm²
    image[10:30, 10:30] = EOSIN
    kept = TissueSettings(close_um=0, smooth_um=0, min_tissue_um2=25_000, max_hole_um2=25_000)
    mask = tissue_pixels(image, UM8, kept)
    assert mask.sum() == 100 * 100
    gone = TissueSettings(close_um=0, smooth_um=0, min_tissue_um2=26_000, max_hole_um2=26_000)
    mask = tissue_pixels(image, UM8, gone)
    assert mask.sum() == 100 * 100
    assert mask[100, 150]
    assert not mask[20, 20]
    # Half as large in x, the same µm²: nothing changes.
    wide = image.repeat(2, axis=1)
    assert (tissue_pixels(wide, (4.0, 8.0), gone) == mask.repeat(2, axis=1)).all()


def test_settings_that_cannot_be_meant() -> None:
    for bad in ({"mpp": 0.0}, {"min_tissue_um2": -1.0}, {"threshold_range": (0.3, 0.1)}):
        with pytest.raises(UsageError, match="cannot be meant"):
            TissueSettings(**bad)  # type: ignore[arg-type]


# --- the mask as an object


def test_fraction_by_hand() -> None:
    tissue = TissueMask(np.array([[1, 0], [0, 0]], bool), (100, 50), (1.0, 2.0))
    boxes = np.array([[0, 0, 50, 25], [25, 0, 75, 25], [-50, -25, 50, 25], [40, 20, 60, 30]])
    # Whole; half of it; a quarter, for what lies outside the slide is none; 10 × 5 of 20 × 10.
    assert tissue.fraction(boxes).tolist() == [1, 0.5, 0.25, 0.25]
    assert tissue.fraction(boxes).dtype == np.float32
    assert tissue.area_um2 == 50 * 25 * 2
    assert not tissue.is_empty
    assert tissue.polygons().equals(shapely.box(0, 0, 50, 25))
    inner = tissue.within(shapely.box(0, 0, 20, 20))  # not the pixel's centre at (25, 12.5)
    assert inner.is_empty
    assert inner.fraction(np.zeros((0, 4))).shape == (0,)


def test_a_million_boxes_take_well_under_a_second() -> None:
    rng = np.random.default_rng(0)
    tissue = TissueMask(rng.random((1500, 1500)) < 0.5, (96_000, 96_000), (0.25, 0.25))
    corner = rng.uniform(0, 96_000, (1_000_000, 2))
    boxes = np.concatenate([corner, corner + 448.5], axis=1)
    start = time.process_time()
    tissue.fraction(boxes)
    assert time.process_time() - start < 1  # measured: 0.2 s


# --- slides


@pytest.fixture(scope="module")
def tissue_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1200 × 800 px at 4 µm/px, stained from (400, 200) to (800, 600)."""
    path = tmp_path_factory.mktemp("tissue") / "s.tiff"
    return write_pyramid(path, patched(EOSIN).repeat(4, axis=0).repeat(4, axis=1), mpp=4.0)


def test_detection_is_deterministic_and_at_8_um(tissue_slide: Path) -> None:
    tissue = detect_tissue(Slide(tissue_slide))
    assert tissue.mask.shape == (400, 600)
    assert tissue.size_l0 == (1200, 800)
    inside = rasterise(shapely.box(400, 200, 800, 600), (400, 600), (2.0, 2.0))
    assert tissue.mask[inside].mean() > 0.99
    assert tissue.area_um2 == pytest.approx(1600**2, rel=0.03)
    again = detect_tissue(Slide(tissue_slide))
    assert (again.mask == tissue.mask).all()


def test_a_coarse_slide_is_taken_as_it_is(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "s.tiff", patched(EOSIN), mpp=(20.0, 16.0), downsamples=(1,))
    tissue = detect_tissue(Slide(path))
    assert tissue.mask.shape == (160, 300)  # 20 µm in both, never finer than the coarser axis
    assert tissue.slide_mpp == pytest.approx((20, 16))


def test_an_empty_slide_is_an_outcome(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "s.tiff", glass(800, 800), mpp=4.0)
    tissue = detect_tissue(Slide(path))
    assert tissue.is_empty
    assert tissue.area_um2 == 0
    assert tissue.polygons().is_empty
    target = tmp_path / "tissue.geojson"
    tissue.to_geojson(target)
    assert load_tissue(target, Slide(path)).is_empty


def test_detection_needs_a_resolution(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "s.tiff", glass(), mpp=None, downsamples=(1,))
    with pytest.raises(ResolutionError):
        detect_tissue(Slide(path))


# --- phantoms


def test_on_phantoms_pen_is_rejected_and_tissue_kept(tmp_path: Path) -> None:
    """Of all pen pixels at least 99 % are rejected, of un-penned tissue at most 1 % is lost."""
    pen_kept = pen_all = lost = free_all = 0
    for seed, (lab, pen) in enumerate(
        [("A", "blue"), ("B", "green"), ("C", "black"), ("D", "red"), ("C", None)]
    ):
        spec = PhantomSpec(size_px=(1536, 1536), mpp=2.0, seed=seed, lab=lab, pen=pen)  # type: ignore[arg-type]
        path = tmp_path / f"{seed}.tiff"
        truth = make_phantom(path, spec)
        tissue = detect_tissue(Slide(path)).mask
        shape, pixel = (1536, 1536), (1.0, 1.0)  # four times finer than the mask
        found = tissue.repeat(4, axis=0).repeat(4, axis=1)
        inked = rasterise(truth.pen, shape, pixel)
        free = rasterise(truth.tissue, shape, pixel) & ~inked
        pen_kept, pen_all = pen_kept + (found & inked).sum(), pen_all + inked.sum()
        lost, free_all = lost + (free & ~found).sum(), free_all + free.sum()
    assert pen_all > 400_000
    assert pen_kept <= 0.01 * pen_all
    assert lost <= 0.01 * free_all


# --- real data


@pytest.mark.parametrize("name", ["west", "middle"])
def test_crc01s_epithelium_is_tissue(shared: Path, name: str) -> None:
    slide = Slide(shared / "data" / "slides" / f"CRC01-{name}.tiff")
    path = shared / "data" / "annotations" / f"CRC01-{name}.geojson"
    epithelium = read_annotations(path, slide.size_l0, slide.bounds_l0).everything()
    inside = detect_tissue(slide).polygons().intersection(epithelium).area
    assert inside >= 0.98 * epithelium.area


def test_the_prostates_pen_on_glass_is_not_tissue(shared: Path) -> None:
    slide = Slide(shared / "data" / "slides" / "TCGA-XK-AAJU-prostate-pen-marks.tiff")
    tissue = detect_tissue(slide)
    width, height = slide.size_l0
    # Looked up in the picture, as shares of width and height: strokes of green at the left edge
    # and over the top, glass between sections, below, and to the left; then tissue and ink on it.
    regions = {
        (0.0, 0.10, 0.08, 0.24): 0.0,
        (0.17, 0.025, 0.36, 0.045): 0.0,
        (0.53, 0.62, 0.62, 0.80): 0.0,
        (0.0, 0.50, 0.15, 1.0): 0.0,
        (0.605, 0.375, 0.62, 0.39): 0.0,
        (0.278, 0.232, 0.295, 0.246): 0.0,
        (0.35, 0.40, 0.40, 0.48): 1.0,
        (0.70, 0.28, 0.80, 0.40): 1.0,
        (0.87, 0.62, 0.91, 0.92): 1.0,
    }
    boxes = np.array(list(regions)) * (width, height, width, height)
    found = tissue.fraction(boxes)
    expected = np.array(list(regions.values()))
    assert np.abs(found - expected).max() < 0.02, found.tolist()


@pytest.mark.parametrize(
    ("name", "mpp", "low", "high"),
    [
        # Bounds of the tissue's share of the slide, estimated by eye.
        ("CMU-1-Small-Region.svs", None, 0.30, 0.50),
        ("TCGA-CR-7395-no-mpp-jp2k.svs", 0.5, 0.55, 0.72),
        ("camelyon-jpeg.dcm", None, 0.22, 0.35),
    ],
)
def test_the_other_slides_masks_have_the_right_size(
    shared: Path, name: str, mpp: float | None, low: float, high: float
) -> None:
    tissue = detect_tissue(Slide(shared / "data" / "slides" / name, mpp=mpp))
    assert low < tissue.mask.mean() < high
