"""A slide's scores, read to be drawn."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.errors import StoreError, UsageError
from histocnn.patches.grid import build_grid
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
