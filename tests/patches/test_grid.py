"""The grid's arithmetic, worked out by hand and held for any size by hypothesis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histocnn.errors import ResolutionError, SlideError, UsageError
from histocnn.patches.grid import PatchGrid, Window, build_grid, window_of


def grid(**changes: Any) -> PatchGrid:
    options = {
        "size_l0": (1000, 600),
        "slide_mpp": (0.25, 0.25),
        "patch_px": 100,
        "mpp": 0.5,
    }
    return build_grid(**(options | changes))


def test_row_major_with_edge_patches_kept() -> None:
    g = grid()  # 200 level-0 px a patch: 5 columns, 3 rows
    assert g.shape == (3, 5)
    assert len(g) == 15
    np.testing.assert_array_equal(g.coords[:6, 0], [0, 200, 400, 600, 800, 0])
    np.testing.assert_array_equal(g.coords[5], [0, 200])
    np.testing.assert_array_equal(g.cell[5], [1, 0])
    assert grid(size_l0=(1001, 600)).shape == (3, 6)


def test_coords_are_rounded_from_the_index_and_never_drift() -> None:
    g = grid(slide_mpp=(0.3, 0.3), size_l0=(40_000, 400))
    # 100 * 0.5 / 0.3 = 166.667 px a stride: the 200th patch starts at round(33333.33)
    assert g.coords[200, 0] == 33_333
    assert g.coords[1, 0] == 167


def test_anisotropic_resolution_keeps_both_axes_apart() -> None:
    g = grid(slide_mpp=(0.25, 0.5))
    assert g.footprint_l0 == (200.0, 100.0)
    assert g.shape == (6, 5)


def test_overlap_shortens_the_stride_only() -> None:
    g = grid(overlap_px=50)
    assert g.stride_l0 == (100.0, 100.0)
    assert g.footprint_l0 == (200.0, 200.0)
    assert g.shape == (6, 10)
    np.testing.assert_array_equal(g.coords[1], [100, 0])
    np.testing.assert_array_equal(g.boxes_l0()[1], [100, 0, 300, 200])


def test_raster_without_overlap_is_the_value_of_the_patch() -> None:
    g = grid()
    raster = g.raster(np.arange(15.0))
    np.testing.assert_array_equal(raster, np.arange(15).reshape(3, 5))


def test_raster_leaves_unscored_and_absent_patches_nan() -> None:
    g = grid().select(np.arange(15) != 7)
    values = np.stack([np.arange(14.0), -np.arange(14.0)], axis=1)
    values[3] = np.nan
    raster = g.raster(values)
    assert raster.shape == (3, 5, 2)
    assert np.isnan(raster[1, 2]).all()
    assert np.isnan(raster[0, 3]).all()
    assert raster[0, 4, 1] == -4
    assert np.isnan(raster).sum() == 4


def test_raster_of_no_patches_is_nan_throughout() -> None:
    g = grid().select(np.zeros(15, bool))
    assert np.isnan(g.raster(np.zeros(0))).all()
    assert g.raster(np.zeros((0, 3))).shape == (3, 5, 3)


def test_raster_with_half_overlap_averages_what_covers_the_centre() -> None:
    # One row: patches of 200 px every 100 px on 400 px. Cell 1 is covered by patches 0 and 1.
    g = grid(size_l0=(400, 200), overlap_px=50)
    assert g.shape == (2, 4)
    values = np.array([1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0])
    np.testing.assert_allclose(g.raster(values)[0], [1, 1.5, 3, 6])


def test_one_patch_reaches_beyond_its_own_cell() -> None:
    g = grid(size_l0=(400, 200), overlap_px=50).select(np.array([1]))
    raster = g.raster(np.array([5.0]))
    assert np.isnan(raster[0, 0])
    assert raster[0, 1] == raster[0, 2] == raster[1, 1] == raster[1, 2] == 5
    assert np.isnan(raster[0, 3])


@given(
    patch=st.integers(1, 40),
    overlap=st.integers(0, 39),
    mpp=st.floats(0.2, 4),
    slide_mpp=st.tuples(st.floats(0.1, 2), st.floats(0.1, 2)),
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    seed=st.integers(0, 2**32 - 1),
)
def test_raster_equals_its_definition(
    patch: int,
    overlap: int,
    mpp: float,
    slide_mpp: tuple[float, float],
    size: tuple[int, int],
    seed: int,
) -> None:
    overlap %= patch
    width, height = (patch * mpp / s + extra for s, extra in zip(slide_mpp, size, strict=True))
    g = build_grid(
        (int(width) + 1, int(height) + 1),
        slide_mpp,
        patch_px=patch,
        mpp=mpp,
        overlap_px=overlap,
        allow_upsampling=True,
    )
    rng = np.random.default_rng(seed)
    g = g.select(rng.random(len(g)) < 0.5)
    g = g.select(rng.permutation(len(g))[:200])
    values = rng.random(len(g))
    raster = g.raster(values)
    # In whole numbers: patch i covers the centre of cell c where i <= c + 1/2 < i + patch/stride.
    stride = patch - overlap
    for row, col in rng.integers(0, g.shape, (20, 2)):
        offset = np.array([row, col]) - g.cell
        covers = ((offset >= 0) & ((2 * offset + 1) * stride < 2 * patch)).all(axis=1)
        expected = values[covers].mean() if covers.any() else np.nan
        np.testing.assert_allclose(raster[row, col], expected, rtol=1e-5)


@given(
    st.integers(1, 512),
    st.integers(0, 511),
    st.floats(0.1, 8),
    st.tuples(st.floats(0.1, 2), st.floats(0.1, 2)),
)
def test_stored_grid_comes_back(
    patch: int, overlap: int, mpp: float, slide_mpp: tuple[float, float]
) -> None:
    size = tuple(int(3 * patch * mpp / s) + 4 for s in slide_mpp)
    overlap = min(overlap % patch, patch // 2)
    g = build_grid(
        (size[0], size[1]),
        slide_mpp,
        patch_px=patch,
        mpp=mpp,
        overlap_px=overlap,
        allow_upsampling=True,
    )
    again = PatchGrid.from_attributes(g.attributes(), g.coords, g.cell)
    np.testing.assert_array_equal(again.coords, g.coords)
    assert again.shape == g.shape
    assert again.stride_l0 == g.stride_l0
    if min(g.stride_l0) > 2:  # below, rounded coordinates no longer tell cells apart
        derived = PatchGrid.from_attributes(g.attributes(), g.coords)
        np.testing.assert_array_equal(derived.cell, g.cell)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"overlap_px": 100}, UsageError, "--overlap_px 100"),
        ({"overlap_px": -1}, UsageError, "--overlap_px -1"),
        ({"min_tissue": 1.5}, UsageError, "--min_tissue 1.5"),
        ({"min_tissue": float("nan")}, UsageError, "--min_tissue nan"),
        ({"patch_px": 0}, UsageError, "--patch_px 0"),
        ({"mpp": 0.0}, UsageError, "--mpp 0.0"),
        ({"mpp": float("nan")}, UsageError, "--mpp nan"),
        ({"mpp": 0.2}, ResolutionError, "coarser than the asked 0.2"),
        ({"patch_px": 301}, SlideError, "602 × 602 level-0 pixels, more than the slide's"),
    ],
)
def test_refusals_name_the_option(
    changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words.replace("(", r"\(")):
        grid(**changes)


def test_upsampling_within_ten_per_cent_is_no_upsampling() -> None:
    assert len(grid(mpp=0.23, patch_px=100)) > 0
    assert len(grid(mpp=0.1, allow_upsampling=True)) > 0


def dense(size_l0: tuple[int, int] = (400, 300)) -> PatchGrid:
    """112 px at 1 µm/px on 0.5: windows of four strides of 32 px, seen from 15.5 px before."""
    g = build_grid(size_l0, (0.5, 0.5), patch_px=112, mpp=1.0, overlap_px=80)
    return replace(g, window=Window(side_px=128, offset_px=-15.5, centre_px=48.5))


def test_a_windows_footprint_is_its_own_and_not_the_patchs() -> None:
    g = dense()
    assert g.boxes_l0()[0].tolist() == [-31, -31, 225, 225]
    assert g.coords[1].tolist() == [33, -31]
    assert g.stride_px == 32


def test_a_dense_raster_has_each_value_where_its_window_is_centred() -> None:
    g = dense()
    # In cells of 32 px window c is centred at c + 48.5 / 32: a ramp along x says where that is.
    ramp = g.cell[:, 1] + 48.5 / 32
    found = g.raster(ramp)
    # Cells 0 and 1 are centred before the first window, 1.516; that of cell 3 is at 3.5.
    np.testing.assert_allclose(found[2], [1.515625, 1.515625, 2.5, 3.5, 4.5, 5.5, 6.5], rtol=1e-6)


def test_dense_grids_are_made_again_from_their_attributes() -> None:
    g = dense()
    for cell in (None, g.cell):
        again = PatchGrid.from_attributes(g.attributes(), g.coords, cell)
        np.testing.assert_array_equal(again.cell, g.cell)
        np.testing.assert_array_equal(again.coords, g.coords)
        assert again.window == g.window
    plain = grid()
    assert window_of(plain.attributes()) is None
    assert plain.attributes().keys() == {"size_l0", "slide_mpp", "patch_px", "mpp", "stride_px"}
