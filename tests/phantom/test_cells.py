"""Where cells lie: lattices, depths in glands, rows and crowds, by hand and by count."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from scipy.spatial import cKDTree

from histocnn.phantom.cells import (
    EPITHELIUM,
    FIBROBLAST,
    LYMPHOCYTE,
    NUCLEUS_ARC_UM,
    RAYS,
    RED_CELL,
    TUMOUR,
    TUMOUR_PER_NORMAL,
    depth_in,
    inside,
    lattice,
    normal_nuclei,
    red_cells,
    stroma_nuclei,
    tumour_nuclei,
)

CENTRES = np.array([[100.0, 100.0], [300.0, 100.0]], np.float32)
ROUND = np.full((2, len(RAYS)), 40.0, np.float32)  # two round glands of radius 40 µm


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_lattice_without_jitter_is_hexagonal(rng: np.random.Generator) -> None:
    points = lattice(rng, shapely.box(0.5, 0.5, 500.5, 500.5), 50, 0)
    nearest, _ = cKDTree(points).query(points, k=2)
    assert nearest[:, 1] == pytest.approx(50, abs=1e-3)
    assert len(points) == pytest.approx(500**2 / (50**2 * np.sqrt(3) / 2), rel=0.1)
    assert lattice(rng, shapely.Polygon(), 50, 0).shape == (0, 2)


def test_only_points_of_the_region_are_inside() -> None:
    points = np.array([[[1.0, 1.0], [5.0, 1.0]], [[3.0, 3.0], [1.0, 9.0]]])
    assert inside(shapely.box(0, 0, 4, 4), points).tolist() == [[True, False], [True, False]]


def test_depth_is_the_way_to_the_outline_of_the_nearest_gland() -> None:
    points = np.array([[100, 110], [300, 130], [100, 150], [290, 100]], np.float32)
    depth, gland, angle = depth_in(points, CENTRES, ROUND)
    assert depth.tolist() == pytest.approx([30, 10, -10, 30])
    assert gland.tolist() == [0, 1, 0, 1]
    assert angle.tolist() == pytest.approx([np.pi / 2, np.pi / 2, np.pi / 2, np.pi])
    none, _, _ = depth_in(points, CENTRES[:0], ROUND[:0])
    assert (none == -1000).all()  # far outside


def test_normal_nuclei_stand_in_one_row_near_the_base(rng: np.random.Generator) -> None:
    xy, kind, angle = normal_nuclei(rng, CENTRES, ROUND)
    each = round(2 * np.pi * 32.5 / NUCLEUS_ARC_UM)  # 40 − 7.5 µm from the centre
    assert len(xy) == len(angle) == 2 * each
    assert set(kind) == {EPITHELIUM}
    depth, gland, direction = depth_in(xy, CENTRES, ROUND)
    assert np.bincount(gland).tolist() == [each, each]
    assert np.abs(depth - 7.5).max() < 4
    upright = (angle - direction + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(upright).max() < 0.6


def test_tumour_nuclei_are_fewer_and_anywhere_in_the_epithelium(rng: np.random.Generator) -> None:
    xy, kind, _ = tumour_nuclei(rng, CENTRES, ROUND, ROUND * 0.25)
    each = round(TUMOUR_PER_NORMAL * 2 * np.pi * 32.5 / NUCLEUS_ARC_UM)
    assert len(xy) == 2 * each
    assert set(kind) == {TUMOUR}
    depth, _, _ = depth_in(xy, CENTRES, ROUND)
    assert depth.min() >= 5.4
    assert depth.max() <= 24.6  # 40 − 10 − 5.5
    assert depth.std() > 3


def test_stroma_has_none_in_glands_and_few_that_are_round(rng: np.random.Generator) -> None:
    region = shapely.box(0, 0, 1000, 1000)
    xy, kind, _ = stroma_nuclei(rng, region, CENTRES, ROUND)
    assert depth_in(xy, CENTRES, ROUND)[0].max() < -2
    assert inside(region, xy).all()
    assert set(kind) == {FIBROBLAST, LYMPHOCYTE}
    assert (kind == LYMPHOCYTE).mean() == pytest.approx(0.3, abs=0.05)


def test_every_vessel_has_seven_red_cells(rng: np.random.Generator) -> None:
    vessels = (CENTRES[:, None] + 8 * RAYS).astype(np.float32)
    xy, kind, _ = red_cells(rng, vessels)
    assert (len(xy), set(kind)) == (14, {RED_CELL})
    assert np.abs(xy[:7] - CENTRES[0]).max() < 16


def test_without_glands_there_are_no_nuclei(rng: np.random.Generator) -> None:
    none, rays = CENTRES[:0], ROUND[:0]
    assert len(normal_nuclei(rng, none, rays)[0]) == 0
    assert len(tumour_nuclei(rng, none, rays, rays)[0]) == 0
    assert len(red_cells(rng, np.zeros((0, len(RAYS), 2), np.float32))[0]) == 0
