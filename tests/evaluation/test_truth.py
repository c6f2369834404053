"""What is known of whole slides: their patches' labels, lesions and detections."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import StoreError
from histocnn.evaluation.truth import DEFAULTS, SlideTruth, cells_of, lesions_of
from histocnn.patches.grid import build_grid
from histocnn.scores.detections import peaks
from histocnn.scores.scorefile import ScoreFile, open_score_file
from histocnn.storage import store
from tests.stages.judged_cohort import write_geojson

GRID = build_grid((400, 300), (0.5, 0.5), patch_px=50, mpp=1.0)  # 3 rows of 4, 100 level-0 px


def written(folder, offset_l0=(0, 0), drop=()) -> ScoreFile:
    attributes = GRID.attributes() | {"slide_id": "s", "scores.class_names": ["normal", "tumour"]}
    store.write(
        folder / "s.h5",
        {"coords": GRID.coords + np.array(offset_l0), "scores": np.full((12, 2), 0.5, np.float32)},
        {name: value for name, value in attributes.items() if name not in drop},
    )
    return open_score_file(folder / "s.h5")


@pytest.fixture
def entry(tmp_path) -> SlideEntry:
    """A tumour from (150, 0) to (250, 100), all else normal."""
    write_geojson(tmp_path / "s.geojson", [(150.0, 0.0, 100.0)], "tumour")
    return SlideEntry(
        "s", tmp_path / "s.tif", annotation_path=tmp_path / "s.geojson", background="normal"
    )


def test_patches_are_labelled_where_they_lie(tmp_path, entry):
    truth = SlideTruth(written(tmp_path), entry)
    assert truth.patches.names == ["normal", "tumour"]
    assert truth.patches.coverage[:4, 1].tolist() == [0, 0.5, 0.5, 0]  # halves two patches
    assert truth.patches.index[4:].tolist() == [0] * 8
    assert truth.remark == DEFAULTS
    # half a patch further right, where no grid has them, one is tumour and none is cut
    patches = SlideTruth(written(tmp_path, (50, 0)), entry).patches
    assert patches.coverage[:4, 1].tolist() == [0, 1, 0, 0]
    assert patches.index[:4].tolist() == [0, 1, 0, 0]


def test_without_outlines_all_is_background(tmp_path):
    entry = SlideEntry("s", tmp_path / "s.tif", background="normal")
    patches = SlideTruth(written(tmp_path), entry).patches
    assert (patches.names, patches.index.tolist()) == (["normal"], [0] * 12)
    assert patches.coverage.shape == (12, 1)


def test_labels_need_the_scale(tmp_path, entry):
    with pytest.raises(StoreError, match="does not say its size_l0, mpp"):
        _ = SlideTruth(written(tmp_path, drop=("size_l0", "mpp")), entry).patches


def test_lesions_are_what_is_drawn_of_the_target(tmp_path, entry):
    file = written(tmp_path)
    drawn = SlideTruth(file, entry).drawn
    assert lesions_of(file, drawn, "tumour").itc.size == 2  # background and one lesion
    assert lesions_of(file, drawn, "stroma").itc.size == 1
    assert lesions_of(file, None, "tumour").itc.size == 1
    assert SlideTruth(file, SlideEntry("s", tmp_path / "s.tif")).drawn is None


def test_detections_are_the_maxima_at_the_centres_of_cells(tmp_path):
    scores = np.zeros(12, np.float32)
    scores[[0, 11]] = 0.9, 0.8
    grid = written(tmp_path).grid()
    raster, cell_um = cells_of(written(tmp_path), grid, scores)
    assert cell_um == (50.0, 50.0)
    found = peaks(grid, raster, radius_um=60, min_prob=0.5)
    assert np.asarray(found.prob).tolist() == pytest.approx([0.9, 0.8])
    assert np.asarray(found.xy_l0).tolist() == [[50, 50], [350, 250]]
