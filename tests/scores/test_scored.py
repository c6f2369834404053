"""A slide's scores, read to be drawn."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from histocnn.errors import StoreError, UsageError
from histocnn.patches.grid import build_grid
from histocnn.reference.cover import NOT_COVERED
from histocnn.scores.scored import ScoredSlide, most_likely, read_scored, summarise
from histocnn.storage import store

GRID = build_grid((400, 300), (0.5, 0.5), patch_px=50, mpp=1.0)  # 3 rows of 4
SCORES = np.column_stack([np.arange(12), 11 - np.arange(12)]).astype(np.float32) / 11


def written(path, **changed):
    arrays = {"coords": GRID.coords, "cell": GRID.cell, "scores": SCORES}
    attributes = GRID.attributes() | {
        "slide_id": "s", "scores.class_names": ["n", "t"], "bounds_l0": (1, 2, 300, 200),
    }  # fmt: skip
    store.write(path, arrays | changed, attributes)
    return path


def test_a_slide_read_is_the_slide_written(tmp_path):
    novelty = np.linspace(0, 100, 12, dtype=np.float32)
    slide = read_scored(written(tmp_path / "x.h5", novelty=novelty))
    assert (slide.slide_id, slide.class_names) == ("s", ("n", "t"))
    assert slide.bounds_l0 == (1, 2, 300, 200)
    assert np.array_equal(slide.raster()[..., 0], SCORES[:, 0].reshape(3, 4))
    assert slide.novelty_raster()[2, 3] == 1
    assert slide.only("t") == [1]
    assert slide.only(None) == [0, 1]
    with pytest.raises(UsageError, match="s has no scores for class 'x'"):
        slide.only("x")
    assert read_scored(written(tmp_path / "y.h5")).novelty_raster() is None


def test_coordinates_off_the_grid_are_refused(tmp_path):
    coords = GRID.coords + np.array([0, 30])
    with pytest.raises(StoreError, match=r"x\.h5: patches lie up to 30 level-0 pixels off a grid"):
        read_scored(written(tmp_path / "x.h5", coords=coords))


def test_the_most_likely_class_and_none_where_nothing_was_scored():
    scores = np.array([[0.2, 0.8], [np.nan, np.nan], [0.6, 0.4]], np.float32)
    assert most_likely(scores).tolist() == [1, -1, 0]


def test_slide_scores_of_the_whole():
    found = summarise(ScoredSlide("s", GRID, SCORES, ("n", "t")), top_percent=25, threshold=0.5)
    assert found["top_mean_n"] == pytest.approx((11 + 10 + 9) / 3 / 11)
    assert found["max_t"] == 1
    # cells of 100 × 100 level-0 px at 0.5 µm/px: 0.0025 mm²; six of 12 reach 0.5
    assert found["area_mm2_n"] == pytest.approx(6 * 0.0025)


def test_uncertain_patches_are_counted_and_laid_on_the_grid(tmp_path):
    scores = SCORES.copy()
    scores[2] = np.nan
    sets = np.ones((12, 2), bool)
    sets[4:] = [True, False]
    slide = read_scored(written(tmp_path / "x.h5", scores=scores, sets=sets))
    expected = [[1, 1, np.nan, 1], [0] * 4, [0] * 4]
    np.testing.assert_array_equal(slide.uncertain_raster(), expected)
    assert summarise(slide, top_percent=25, threshold=0.5)["uncertain"] == 3
    other = read_scored(written(tmp_path / "y.h5"))
    assert other.uncertain_raster() is None
    assert "uncertain" not in summarise(other, top_percent=25, threshold=0.5)


def test_pictures_say_where_the_reference_does_not_cover_a_slide(tmp_path):
    path = written(tmp_path / "x.h5")
    attributes = store.attributes(path) | {"cover": {"covered": False}}
    store.write(path, store.read(path), attributes)
    assert read_scored(path).origin == NOT_COVERED
    store.write(path, store.read(path), attributes | {"cover": {"covered": True}})
    assert read_scored(path).origin == ""


def test_scores_are_read_between_cells_where_each_place_lies_in_two_patches_each_way():
    for overlap_px, smooth in ((0, False), (24, False), (25, True), (40, True)):
        grid = build_grid((400, 300), (0.5, 0.5), patch_px=50, mpp=1.0, overlap_px=overlap_px)
        scores = np.full((len(grid), 2), 0.5, np.float32)
        assert ScoredSlide("s", grid, scores, ("n", "t")).smooth == smooth


def test_an_area_of_single_patches_runs_along_their_edges_and_keeps_its_hole():
    scores = np.ones((12, 2), np.float32)
    scores[5] = 0  # row 1, column 1 of 3 × 4 cells of 100 px on 400 × 300 px
    (area,) = ScoredSlide("s", GRID, scores, ("n", "t")).areas_at(1, 0.5)
    assert area.equals(shapely.box(0, 0, 400, 300).difference(shapely.box(100, 100, 200, 200)))


def test_an_area_of_dense_scores_crosses_between_centres():
    """Patches of 40 px at every 10 px, of which those in columns up to 19 have 1: a cell has the
    mean of the four that cover it, 1 up to column 19, then 0.75, 0.5, 0.25. Their centres are at
    195, 205, 215, 225 px: 0.5 is crossed at 215, and 0.6 four tenths of a cell before.
    """
    grid = build_grid((600, 400), (0.5, 0.5), patch_px=40, mpp=0.5, overlap_px=30)
    tumour = (grid.cell[:, 1] <= 19).astype(np.float32)
    slide = ScoredSlide("s", grid, np.stack([1 - tumour, tumour], 1), ("n", "t"))
    (half,) = slide.areas_at(1, 0.5)
    assert half.bounds == pytest.approx((0, 0, 215, 400))
    assert half.area == pytest.approx(215 * 400)
    (more,) = slide.areas_at(1, 0.6)
    assert more.bounds == pytest.approx((0, 0, 211, 400), abs=1e-4)


def test_operating_points_are_read_where_they_are_thresholds(tmp_path):
    path = written(tmp_path / "x.h5")
    points = {
        "t": {"youden": {"threshold": 0.25, "sensitivity": 1.0}, "odd": {"threshold": "high"}},
        "n": "none",
        "stranger": {"youden": {"threshold": 0.5}},
    }
    store.write(path, store.read(path), {**store.attributes(path), "thresholds": points})
    assert read_scored(path).points == {"t": {"youden": 0.25}}
    assert read_scored(written(tmp_path / "y.h5")).points == {}
