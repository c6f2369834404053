"""A slide's grid, labels and stains in memory, counted by hand on a painted slide."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import AnnotationError, UsageError
from histocnn.patches.grid import build_grid
from histocnn.patches.tiling import (
    Options,
    disagreement,
    lost_area,
    recipe_of,
    sharp_enough,
    tile_slide,
)
from histocnn.regions.tissue import TissueSettings
from histocnn.slides.slide import Slide
from tests.slide_files import write_pyramid
from tests.slides.test_sharpness import natural


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> SlideEntry:
    """1024 × 768 px at 2 µm/px: tissue in columns 1 and 2, rows 1 of 256 px; tumour in column 1."""
    folder = tmp_path_factory.mktemp("tiling")
    image = np.full((768, 1024, 3), 245, np.uint8)
    noise = np.random.default_rng(0).integers(-20, 20, (256, 512, 1))
    image[256:512, 256:768] = np.array([200, 120, 170]) + noise
    ring = [[256, 256], [512, 256], [512, 512], [256, 512], [256, 256]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": "tumour"}},
    }
    (folder / "a.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": [feature]})
    )
    return SlideEntry(
        "a",
        write_pyramid(folder / "a.tiff", image, mpp=2.0),
        patient_id="p",
        annotation_path=folder / "a.geojson",
        background="normal",
    )


OPTIONS = Options(patch_px=256, mpp=2.0)


def test_a_slide_is_cut_labelled_and_its_stains_found(entry: SlideEntry) -> None:
    tiled = tile_slide(entry, OPTIONS)
    assert tiled.outcome == "ok"
    assert tiled.grid.coords.tolist() == [[256, 256], [512, 256]]
    assert tiled.labels.names == ["normal", "tumour"]
    assert tiled.labels.index.tolist() == [1, 0]
    assert tiled.areas["tumour"]["annotated_um2"] == pytest.approx(512**2)
    assert tiled.areas["tumour"]["in_patches_um2"] == pytest.approx(512**2)
    assert tiled.stains is not None


def test_blurred_patches_are_left_out_when_asked(tmp_path: Path) -> None:
    """Four patches of 128 µm in a row, the last blurred by 2 µm."""
    pictures = [natural(seed) for seed in range(4)]
    pictures[3] = gaussian_filter(pictures[3], 4.0)
    row = np.clip(np.hstack(pictures), 0, 255)[..., None] * [1, 0.7, 0.9]
    slide = Slide(write_pyramid(tmp_path / "a.tiff", np.rint(row).astype(np.uint8)))
    grid = build_grid(slide.size_l0, slide.require_mpp(), patch_px=256, mpp=0.5)
    options = Options(patch_px=256, mpp=0.5)
    assert sharp_enough(slide, grid, options, 2) == (grid, {}, [])
    whole, quality, notes = sharp_enough(slide, grid, replace(options, quality=True), 2)
    assert whole is grid
    assert (quality["blur_um"] > 1).tolist() == [False, False, False, True]
    assert notes == ["quality: 25% blurred"]
    kept, of_kept, notes = sharp_enough(slide, grid, replace(options, min_sharpness=1.0), 2)
    assert kept.coords.tolist() == [[0, 0], [256, 0], [512, 0]]
    assert of_kept["blur_um"].tolist() == quality["blur_um"][:3].tolist()
    assert notes == ["1 of 4 patches blurred by more than 1 µm left out"]


def test_roi_keeps_what_lies_in_it_and_an_unknown_one_is_named(entry: SlideEntry) -> None:
    tiled = tile_slide(entry, Options(patch_px=256, mpp=2.0, roi="tumour"))
    assert tiled.grid.coords.tolist() == [[256, 256]]
    with pytest.raises(AnnotationError, match=r"no region of class 'stroma' \(found: tumour\)"):
        tile_slide(entry, Options(patch_px=256, mpp=2.0, roi="stroma"))


def test_the_recipe_is_the_options_and_the_hashes_of_the_inputs(entry: SlideEntry) -> None:
    recipe = recipe_of(entry, OPTIONS)
    assert not {"quality", "min_sharpness"} & recipe.keys()
    measured = recipe_of(entry, replace(OPTIONS, quality=True))
    assert measured == recipe | {"quality": True}
    assert "keep_fat" not in recipe["tissue"]  # grids from before there was such an option are done
    fat = recipe_of(entry, replace(OPTIONS, tissue=TissueSettings(keep_fat=True)))
    assert fat["tissue"] == recipe["tissue"] | {"keep_fat": True}
    assert recipe.keys() - asdict(OPTIONS).keys() == {
        *("stage", "slide", "patient_id", "background", "annotation", "tissue_path")
    }
    assert recipe["slide_mpp"] == pytest.approx((2.0, 2.0))
    assert len(recipe["annotation"]) == 64
    assert recipe["tissue_path"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"label_coverage": -0.1}, r"--label_coverage -0\.1 is not a share"),
        ({"max_background_coverage": float("nan")}, "--max_background_coverage nan"),
        ({"min_tissue": 1.2}, r"--min_tissue 1\.2"),
        ({"overlap_px": 224}, "--overlap_px 224"),
        ({"mpp": 0.0}, r"--mpp 0\.0"),
        ({"patch_px": 0}, "--patch_px 0"),
    ],
)
def test_options_that_no_slide_can_satisfy(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Options(**options)


def test_a_resolution_far_from_the_files_own_is_said(entry: SlideEntry) -> None:
    assert disagreement(Slide(entry.slide_path, mpp=2.05)) == []
    assert disagreement(Slide(entry.slide_path, mpp=1.0)) == ["given 1 µm/px, but the file says 2"]


def test_lost_area_is_said_where_it_is_more_than_two_per_cent() -> None:
    areas = {"tumour": {"annotated_um2": 100.0, "in_tissue_um2": 98.5, "in_patches_um2": 60.0}}
    assert lost_area(areas) == ["only 60.0% of the area annotated 'tumour' lies in kept patches"]
    empty = {"annotated_um2": 0.0, "in_tissue_um2": 0.0, "in_patches_um2": 0.0}
    assert lost_area({"tumour": empty}) == []
