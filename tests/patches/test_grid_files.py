"""The files that a tiled slide leaves, and in which order."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import StoreError
from histocnn.patches.grid_files import write_grid
from histocnn.patches.tiling import Options, Tiled, tile_slide
from histocnn.storage import store
from tests.slide_files import damage_tile, write_pyramid

FULL = "tissue is 100.0% of the slide"
ONE_COLOUR = "no stains to normalise by: one colour alone"


def tiled_slide(folder: Path, *, tissue: bool = True, damaged: bool = False) -> Tiled:
    """512 × 512 px at 2 µm/px, stained throughout (or not at all), cut into 4 patches."""
    image = np.full((512, 512, 3), 245, np.uint8)
    if tissue:
        noise = np.random.default_rng(0).integers(-20, 20, (480, 480, 1))
        image[16:496, 16:496] = np.array([200, 120, 170]) + noise
    path = write_pyramid(folder / "s.tiff", image, mpp=2.0, downsamples=(1, 2))
    entry = SlideEntry("s", path, patient_id="p", background="with/slash")
    tiled = tile_slide(entry, Options(patch_px=256, mpp=2.0, export="png"))
    if damaged:
        damage_tile(path, level=0, col=1, row=0)
    return tiled


def test_a_grid_its_tissue_and_its_patches(tmp_path: Path) -> None:
    ticks: list[tuple[int, int]] = []
    target = tmp_path / "out" / "s.h5"
    facts = write_grid(
        tiled_slide(tmp_path),
        target,
        {"stage": "tile"},
        lambda done, total: ticks.append((done, total)),
        threads=2,
    )
    assert facts == {
        "patches": 4,
        "outcome": "ok",
        "notes": [f"look: {FULL}", ONE_COLOUR],
        "look": [FULL],
    }
    assert ticks[-1] == (4, 4)
    attributes = store.attributes(target)
    assert attributes["recipe"] == {"stage": "tile"}
    assert (attributes["slide_id"], attributes["patient_id"]) == ("s", "p")
    assert attributes["labels.class_names"] == ["with/slash"]
    assert "bounds_l0" not in attributes  # the slide has none
    assert attributes["stains"] == {"none": "one colour alone", "patches": 4, "seed": 0}
    arrays = store.read(target)
    assert arrays["coords"].tolist() == [[0, 0], [256, 0], [0, 256], [256, 256]]
    assert arrays["labels"].tolist() == [0, 0, 0, 0]
    names = sorted(path.name for path in (tmp_path / "out" / "s" / "with_slash").iterdir())
    assert names == [f"s_x{x}_y{y}.png" for x, y in ((0, 0), (0, 256), (256, 0), (256, 256))]
    patch = cv2.imread(str(tmp_path / "out/s/with_slash/s_x0_y0.png"))
    assert patch.shape == (256, 256, 3)
    tissue = json.loads((tmp_path / "out" / "s.tissue.geojson").read_text())
    assert tissue["features"][0]["properties"]["classification"]["name"] == "Tissue"


def test_a_patch_that_cannot_be_decoded_is_counted_and_left_out(tmp_path: Path) -> None:
    tiled = tiled_slide(tmp_path, damaged=True)
    facts = write_grid(tiled, tmp_path / "s.h5", {}, lambda *_: None, threads=1)
    lost = "1 patches could not be decoded and were not exported"
    assert facts["notes"] == [f"look: {FULL}", ONE_COLOUR, lost]
    assert len(list((tmp_path / "s").rglob("*.png"))) == 3
    assert facts["patches"] == 4


def test_a_slide_without_tissue_says_where_to_look(tmp_path: Path) -> None:
    tiled = tiled_slide(tmp_path, tissue=False)
    facts = write_grid(tiled, tmp_path / "s.h5", {}, lambda *_: None, threads=1)
    assert facts == {
        "patches": 0,
        "outcome": "no tissue",
        "notes": ["no tissue: look at s.png"],
    }


def test_the_grid_comes_last(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "s.tissue.geojson").mkdir()  # in the way
    with pytest.raises(StoreError):
        write_grid(tiled_slide(tmp_path), tmp_path / "out/s.h5", {}, lambda *_: None, threads=1)
    assert not (tmp_path / "out" / "s.h5").exists()
