"""Which windows are wanted, and what is true of them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.errors import PatchesError
from histocnn.patches.dense_grid import check_places, dense_grid, inputs_of, placed
from histocnn.patches.grid import Window
from histocnn.patches.patches import FilePatches, open_patches
from histocnn.stages.tile import tile
from histocnn.storage import store
from tests.grid_files import write_grid
from tests.models.patch_files import write_folder
from tests.slide_files import write_pyramid

WINDOW = Window(side_px=32, offset_px=0.0, centre_px=16.0)


def tiled(folder: Path, annotated: bool = True) -> tuple[Path, Path]:
    """A grid of 32 px at 0.5 µm/px over 700 × 560 px with an ellipse of tissue; and slides.csv."""
    image = np.full((560, 700, 3), 245, np.uint8)
    cv2.ellipse(image, (330, 280), (280, 190), 0, 0, 360, (190, 90, 160), -1)
    write_pyramid(folder / "s1.tiff", image, downsamples=(1,))
    ring = [[240, 200], [420, 200], [420, 380], [240, 380], [240, 200]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": "tumour"}},
    }
    drawn = {"type": "FeatureCollection", "features": [feature] * annotated}
    (folder / "s1.geojson").write_text(json.dumps(drawn))
    slides = folder / "slides.csv"
    slides.write_text(
        "slide_id,slide_path,annotation_path,background\ns1,s1.tiff,s1.geojson,normal\n"
    )
    assert tile(slides, folder / "grids", patch_px=32).exit_code == 0
    return folder / "grids" / "s1.h5", slides


def test_windows_have_the_truth_of_tiles_own_function(tmp_path: Path) -> None:
    grid, slides = tiled(tmp_path)
    assert tile(slides, tmp_path / "overlapping", patch_px=32, overlap_px=24).exit_code == 0
    [patches] = open_patches(grid, slides=slides)
    dense = dense_grid(patches, WINDOW, 8)
    expected = store.read(tmp_path / "overlapping" / "s1.h5")
    assert len(dense.grid) == len(expected["coords"]) > 0
    for name in ("coords", "cell", "labels", "state", "excluded", "coverage", "tissue_fraction"):
        np.testing.assert_allclose(dense.datasets[name], expected[name], err_msg=name)
    said = store.attributes(tmp_path / "overlapping" / "s1.h5")
    for name in ("truth", "labels.class_names", "annotation_areas"):
        assert dense.attributes[name] == said[name], name
    assert dense.notes == []


def test_without_the_annotation_there_are_no_labels_and_it_is_said(tmp_path: Path) -> None:
    grid, _ = tiled(tmp_path)
    [patches] = open_patches(grid)
    dense = dense_grid(patches, WINDOW, 8)
    assert "labels" not in dense.datasets
    assert "labels.class_names" not in dense.attributes
    assert dense.attributes["truth"]["annotation"] is not None
    assert "give --slides slides.csv" in dense.notes[0]


def test_without_tissue_windows_lie_where_patches_do(tmp_path: Path) -> None:
    write_grid(tmp_path, "s1", patch_px=64)
    [patches] = open_patches(tmp_path / "grids")
    assert isinstance(patches, FilePatches)
    datasets = store.read(patches.file)
    kept = datasets["cell"].tolist().index([1, 2])  # (row, col): x from 128 px on, y from 64
    one = {name: values[[kept]] for name, values in datasets.items()}
    store.write(patches.file, one, store.attributes(patches.file))
    dense = dense_grid(*open_patches(patches.file), Window(64, 0.0, 32.0), 16)
    # Centres at 16 c + 32: 128 <= x < 192, 64 <= y < 128.
    assert dense.grid.cell[:, 1].min() == 6
    assert dense.grid.cell[:, 1].max() == 9
    assert sorted(set(dense.grid.cell[:, 0].tolist())) == [2, 3, 4, 5]
    assert "windows lie where the grid's patches do" in dense.notes[0]


def test_a_recipe_knows_the_tissue_that_decides(tmp_path: Path) -> None:
    grid, slides = tiled(tmp_path)
    [patches] = open_patches(grid, slides=slides)
    before = inputs_of(patches)
    outline = grid.with_suffix(".tissue.geojson")
    outline.write_text(outline.read_text() + "\n")
    assert inputs_of(patches)["tissue"] != before["tissue"]
    assert inputs_of(patches)["annotation"] == before["annotation"]


def test_images_and_patches_of_unknown_scale_have_no_place(tmp_path: Path) -> None:
    write_folder(tmp_path / "images", patients=2)
    with pytest.raises(PatchesError, match="image files have no place"):
        check_places(open_patches(tmp_path / "images"))
    file = write_grid(tmp_path, "s1")
    said = {k: v for k, v in store.attributes(file).items() if k != "mpp"}
    store.write(file, store.read(file), said)
    with pytest.raises(PatchesError, match=r"does not say at which µm/px"):
        placed(*open_patches(file))
