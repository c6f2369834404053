"""Quality of patches: shares worked out by hand, and flaws of a phantom where they were drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from shapely.geometry import Polygon
from sklearn.metrics import roc_auc_score

from histocnn.patches.grid import build_grid
from histocnn.patches.labels import coverage
from histocnn.patches.patch_set import QUALITY
from histocnn.patches.patches import open_patches
from histocnn.patches.quality import Quality, flaws, unmeasured
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.phantom.stain import PEN_RGB
from histocnn.regions.annotations import Annotations
from histocnn.slides.slide import Slide
from histocnn.slides.stream import Batch, stream
from tests.grid_files import write_grid
from tests.models.patch_files import write_folder

Pixels = NDArray[np.uint8]
EOSIN = (216, 150, 190)


def plain(colour: tuple[int, int, int] = EOSIN, side: int = 64) -> Pixels:
    return np.full((side, side, 3), colour, np.uint8)


def measured(*patches: Pixels, mpp: float = 1.0) -> dict[str, NDArray[np.float32]]:
    quality = Quality(len(patches), mpp)
    quality.see(Batch(np.arange(len(patches)), np.stack(patches), np.ones(len(patches), bool)))
    return quality.columns()


@pytest.mark.parametrize("colour", PEN_RGB)
def test_the_share_of_pen_by_hand(colour: str) -> None:
    half, quarter, none = plain(), plain(), plain()
    half[:, :32] = PEN_RGB[colour]
    quarter[:32, 32:] = PEN_RGB[colour]
    found = measured(half, quarter, none)
    assert found["pen_fraction"].tolist() == [0.5, 0.25, 0]
    assert found["fold_fraction"].tolist() == [0, 0, 0]  # ink is dark and saturated, too
    assert found["edge_fraction"].tolist() == [0, 0, 0]


def test_a_fold_absorbs_far_more_than_the_slides_tissue_does() -> None:
    # Of 245 in the glass: density 0.13, 0.49, 0.25, mean 0.29; three times as much is 0.87.
    folded = tuple(round(245 * (c / 245) ** 3) for c in EOSIN)
    strip, dark = plain(), plain(folded)  # type: ignore[arg-type]
    strip[:16] = folded
    found = measured(strip, *[plain()] * 8, dark)["fold_fraction"]
    assert found.tolist() == [0.25, *[0] * 8, 1]
    assert measured(dark, dark)["fold_fraction"].tolist() == [0, 0]  # a slide stained darkly


def test_the_edge_of_a_bubble_is_grey() -> None:
    ring = plain()
    ring[24:40] = (120, 118, 122)
    assert measured(ring, plain())["edge_fraction"].tolist() == [0.25, 0]
    glass = plain((243, 242, 244))
    assert [measured(glass)[name][0] for name in QUALITY[1:]] == [0, 0, 0]


def test_what_was_not_read_or_never_came_is_not_known() -> None:
    quality = Quality(3, 1.0)
    patches = np.stack([plain(), plain()])
    quality.see(Batch(np.array([2, 0]), patches, np.array([True, False])))
    found = quality.columns()
    assert set(found) == set(QUALITY)
    for name in QUALITY[1:]:
        assert np.isnan(found[name]).tolist() == [True, True, False]
    assert np.isnan(found["blur_um"]).all()  # nothing is to be seen on a plain patch
    assert not np.any([*flaws(found).values()])


def test_batches_do_not_change_what_is_found() -> None:
    patches = np.random.default_rng(0).integers(60, 250, (10, 64, 64, 3), dtype=np.uint8)
    patches = np.stack([cv2.GaussianBlur(p, (0, 0), 1 + i / 4) for i, p in enumerate(patches)])
    whole, parts = measured(*patches), Quality(10, 1.0)
    for rows in (np.array([9, 1, 2]), np.array([0, 3, 4, 5, 6, 7, 8])):
        parts.see(Batch(rows, patches[rows], np.ones(len(rows), bool)))
    for name, values in parts.columns().items():
        assert np.array_equal(values, whole[name], equal_nan=True)
    assert np.all(np.diff(whole["blur_um"][:6]) > 0)  # each is blurred more than the one before


def test_image_files_of_unknown_scale_are_not_measured(tmp_path: Path) -> None:
    write_grid(tmp_path / "slides")
    [grid] = open_patches(tmp_path / "slides" / "grids")
    assert unmeasured(grid) is not None
    [images] = open_patches(write_folder(tmp_path / "images", patients=1))
    assert unmeasured(images) is None


@pytest.mark.slow
def test_a_phantoms_flaws_are_where_they_were_drawn(tmp_path: Path) -> None:
    spec = PhantomSpec((2048, 2048), mpp=0.5, seed=4, pen="green", blur=True, fold=True)
    truth = make_phantom(tmp_path / "a.tif", spec)
    slide = Slide(tmp_path / "a.tif")
    grid = build_grid(slide.size_l0, slide.require_mpp(), patch_px=64, mpp=1.0)
    quality = Quality(len(grid), 1.0)
    for batch in stream(slide, grid.coords, 64, 1.0):
        quality.see(batch)
    regions = {
        "tissue": truth.tissue, "blur_um": truth.blurred, "pen_fraction": truth.pen,
        "fold_fraction": truth.folded.difference(truth.pen),
    }  # fmt: skip
    shares = coverage(Annotations(regions, Polygon()), grid.boxes_l0(), list(regions)).T
    for (name, values), share in zip(list(quality.columns().items())[:3], shares[1:], strict=True):
        known = np.isfinite(values) & (shares[0] > 0.5) & ((share == 0) | (share >= 0.5))
        assert (share[known] > 0).sum() >= 5
        assert roc_auc_score(share[known] > 0, values[known]) >= 0.95, name
