from __future__ import annotations

import numpy as np
import pytest
import shapely

from histocnn.metrics.detections import Detections
from histocnn.patches.grid import PatchGrid, build_grid
from histocnn.scores.detections import outside, peaks


def grid_of(size_l0: tuple[int, int], overlap_px: int = 0, mpp: float = 1.0) -> PatchGrid:
    """Patches of 100 µm on a slide of 0.5 µm/px."""
    return build_grid(size_l0, (0.5, 0.5), patch_px=int(100 / mpp), mpp=mpp, overlap_px=overlap_px)


def test_peaks_lie_in_the_middle_of_their_patches():
    grid = grid_of((1000, 600))  # 5 × 3 patches of 200 level-0 px
    prob = np.full(15, 0.1, np.float32)
    prob[[0, 1, 8]] = 0.8, 0.6, 0.9  # the second is the first one's neighbour
    found = peaks(grid, grid.raster(prob), radius_um=100, min_prob=0.5)
    assert found.prob.tolist() == [np.float32(0.9), np.float32(0.8)]
    assert found.xy_l0.tolist() == [[700, 300], [100, 100]]


def test_peaks_are_those_of_the_averaged_heatmap_where_patches_overlap():
    grid = grid_of((600, 200), overlap_px=50)  # cells of 100 px, patches of two
    prob = np.zeros((2, 6), np.float32)  # (row, column) of the patch
    prob[0, 2] = 0.8
    heat = grid.raster(prob[grid.cell[:, 0], grid.cell[:, 1]])
    # cells (0, 2) and (0, 3) are covered by two patches, those below by four
    found = peaks(grid, heat, radius_um=0, min_prob=0.15)
    assert found.prob.tolist() == pytest.approx([0.4, 0.4, 0.2, 0.2])
    assert found.xy_l0.tolist() == [[250, 50], [350, 50], [250, 150], [350, 150]]


def test_coordinates_are_whole_pixels_on_the_slide():
    grid = grid_of((701, 407), mpp=0.7)  # 142 px of 0.7: 198.8 level-0 px; 4 × 3 cells
    prob = np.arange(len(grid), dtype=np.float32) / 100
    found = peaks(grid, grid.raster(prob), radius_um=0, min_prob=0)
    assert found.xy_l0.dtype == np.int64
    x, y = found.xy_l0[::-1][:4].T
    # middles at 99.4, 298.2, 497 and 695.8: the pixel that each lies in
    assert x.tolist() == [99, 298, 497, 695]
    assert y.tolist() == [99] * 4
    # the lowest row's middle, 497, lies below the slide of 407 rows: its last row
    assert found.xy_l0[:4, 1].tolist() == [406] * 4


def test_nothing_scored_has_no_peaks():
    grid = grid_of((1000, 600))
    found = peaks(grid, grid.raster(np.full(15, np.nan)), radius_um=100, min_prob=0)
    assert (found.prob.shape, found.xy_l0.shape) == ((0,), (0, 2))
    nothing = grid.select(np.zeros(15, bool))
    found = peaks(nothing, nothing.raster(np.empty(0)), radius_um=100, min_prob=0)
    assert (found.prob.shape, found.xy_l0.shape) == ((0,), (0, 2))


def test_detections_inside_an_exclusion_are_left_out_and_counted():
    points = Detections(
        np.array([0.9, 0.8, 0.7, 0.6]), np.array([[10, 10], [20, 20], [30, 30], [31, 30]])
    )
    kept, left_out = outside(points, shapely.box(15, 15, 30, 40))
    assert kept.prob.tolist() == [0.9, 0.6]  # one inside, one on the border
    assert kept.xy_l0.tolist() == [[10, 10], [31, 30]]
    assert left_out == 2
    assert outside(points, shapely.Polygon())[1] == 0
    assert outside(points, None) == (points, 0)
    empty = Detections(np.empty(0), np.empty((0, 2)))
    assert outside(empty, shapely.box(0, 0, 9, 9))[1] == 0
