"""A slide's grid, labels and stains in memory, counted by hand on a painted slide."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import AnnotationError, UsageError
from histocnn.patches.tiling import Options, disagreement, lost_area, recipe_of, tile_slide
from histocnn.regions.tissue import TissueSettings
from histocnn.slides.slide import Slide
from tests.slide_files import write_pyramid


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


def test_roi_keeps_what_lies_in_it_and_an_unknown_one_is_named(entry: SlideEntry) -> None:
    tiled = tile_slide(entry, Options(patch_px=256, mpp=2.0, roi="tumour"))
    assert tiled.grid.coords.tolist() == [[256, 256]]
    with pytest.raises(AnnotationError, match=r"no region of class 'stroma' \(found: tumour\)"):
        tile_slide(entry, Options(patch_px=256, mpp=2.0, roi="stroma"))


def test_the_recipe_is_the_options_and_the_hashes_of_the_inputs(entry: SlideEntry) -> None:
    recipe = recipe_of(entry, OPTIONS)
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
