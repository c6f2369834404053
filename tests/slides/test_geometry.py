"""The geometry contract: arithmetic, and the pixels of a slide whose colour tells its position."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histocnn.errors import UsageError
from histocnn.patches.grid import build_grid
from histocnn.slides.geometry import choose_level, crops, level_mpp, resample
from histocnn.slides.slide import Slide
from histocnn.slides.stream import stream
from tests.slide_files import position_image, write_pyramid

SLOPE = 3.98  # grey levels per level-0 pixel of a position image

LEVELS = ((10_000, 8_000), (5_000, 4_000), (2_500, 2_000), (1_249, 999))


@pytest.mark.parametrize(
    ("mpp", "level"),
    [
        (0.25, 0),  # equal
        (0.1, 0),  # finer than any
        (0.4761, 0),  # 0.5 is just more than 1.05 × 0.4761
        (0.4762, 1),  # and at most 1.05 × 0.4762
        (0.5, 1),
        (0.99, 2),
        (1.9, 2),
        (1.91, 3),  # level 3 is 10000 / 1249 × 0.25 = 2.0016 by 2.0020
        (100, 3),
    ],
)
def test_level_is_the_coarsest_within_five_percent(mpp: float, level: int) -> None:
    assert choose_level((0.25, 0.25), LEVELS, mpp) == level


def test_both_axes_must_be_fine_enough() -> None:
    assert choose_level((0.25, 0.3), LEVELS, 0.5) == 0
    assert choose_level((0.25, 0.26), LEVELS, 0.5) == 1


def test_level_resolution_is_per_axis() -> None:
    assert level_mpp((0.25, 0.5), (1000, 900), (400, 300)) == (0.625, 1.5)


@pytest.mark.parametrize("mpp", [0.0, -1.0, math.nan, math.inf])
def test_impossible_patch_resolution_is_refused(mpp: float) -> None:
    with pytest.raises(UsageError, match="mpp is"):
        choose_level((0.25, 0.25), LEVELS, mpp)


@pytest.mark.parametrize(
    ("slide_mpp", "mpp", "size", "origin"),
    [
        (0.5, 0.5, 224, 100),  # exact: a plain copy from where it was asked
        (0.499, 0.5, 224, 100),  # 224.449 px: still a copy, centred 0.224 px to the right
        (0.49, 0.5, 229, 100),  # 228.571 px: rounded
        (0.25, 0.5, 448, 100),  # twice
        (0.2491, 0.5, 450, 100),  # 449.62 px: 448 is more than a pixel off
        (0.2495, 0.5, 448, 100),  # 448.898 px, centre 324.449, begins at 100.449
        (0.6, 0.5, 187, 100),  # coarser: 186.667 px
    ],
)
def test_crop_is_whole_pixels_and_a_multiple_where_one_is_near(
    slide_mpp: float, mpp: float, size: int, origin: int
) -> None:
    crop = crops([(100, 100)], (224, 224), mpp, (slide_mpp, slide_mpp), [(10_000, 10_000)])
    assert crop.size_px == (size, size)
    assert crop.origins_px.tolist() == [[origin, origin]]


def test_crop_on_a_coarser_level() -> None:
    crop = crops([(100, 101), (-50, 0)], (224, 224), 0.5, (0.25, 0.25), LEVELS)
    assert (crop.level, crop.size_px) == (1, (224, 224))
    assert crop.origins_px.tolist() == [[50, 51], [-25, 0]]  # 50.5 is halved to the far side


sizes = st.tuples(st.integers(300, 200_000), st.integers(300, 200_000))
resolutions = st.floats(0.1, 5)


@given(
    size_l0=sizes,
    downsamples=st.lists(st.floats(1.2, 40), max_size=4),
    slide_mpp=st.tuples(resolutions, st.floats(0.8, 1.25)).map(lambda m: (m[0], m[0] * m[1])),
    patch_px=st.integers(8, 1024),
    mpp=resolutions,
    xy_l0=st.tuples(st.floats(-500, 200_000), st.floats(-500, 200_000)),
)
def test_crop_covers_the_footprint_within_a_pixel(
    size_l0: tuple[int, int],
    downsamples: list[float],
    slide_mpp: tuple[float, float],
    patch_px: int,
    mpp: float,
    xy_l0: tuple[float, float],
) -> None:
    levels = [size_l0] + [
        (max(1, round(size_l0[0] / by)), max(1, round(size_l0[1] / by)))
        for by in sorted(downsamples)
    ]
    crop = crops([xy_l0], (patch_px, patch_px), mpp, slide_mpp, levels)
    own_mpp = level_mpp(slide_mpp, size_l0, levels[crop.level])
    assert crop.level == 0 or max(own_mpp) <= 1.05 * mpp * (1 + 1e-6)
    for axis in (0, 1):
        footprint_l0 = patch_px * mpp / slide_mpp[axis]
        to_level = levels[crop.level][axis] / size_l0[axis]
        begin, length = xy_l0[axis] * to_level, footprint_l0 * to_level
        error = crop.origins_px[0, axis] - begin
        end_error = error + crop.size_px[axis] - length
        assert max(abs(error), abs(end_error)) <= 1 + 1e-5
        assert abs((error + end_error) / 2) <= 0.5 + 1e-5  # the centre
        multiple = max(1, round(length / patch_px)) * patch_px
        if abs(multiple - length) < 1 - 1e-9:
            assert crop.size_px[axis] == multiple


def test_resampling_shrinks_by_area_and_enlarges_linearly() -> None:
    pixels = np.zeros((2, 4, 3), np.uint8)
    pixels[:, 2:] = 100
    assert resample(pixels, (4, 2)) is pixels
    assert resample(pixels, (2, 1))[..., 0].tolist() == [[0, 100]]
    pixels[:, 1] = 80
    assert resample(pixels, (2, 1))[..., 0].tolist() == [[40, 100]]
    # One axis smaller and the other larger: each by its own rule.
    assert resample(pixels, (2, 4))[..., 0].tolist() == [[40, 100]] * 4
    ramp = np.repeat(np.array([[0], [100]], np.uint8)[..., None], 3, axis=-1)
    assert resample(ramp, (1, 4))[:, 0, 0].tolist() == [0, 25, 75, 100]


# Slides: size (odd), resolution, downsamples, how the tiles are compressed.
SLIDES = {
    "integer downsamples": ((901, 707), 0.5, (1, 2, 4), "jpeg"),
    "non-integer downsamples": ((901, 707), 0.5, (1, 2.5, 6.3), "jpeg"),
    "anisotropic": ((900, 701), (0.5, 0.6), (1, 2, 4), "jpeg"),
    "through OpenSlide": ((901, 707), 0.5, (1, 2, 4), "adobe_deflate"),
    "through OpenSlide, non-integer": ((901, 707), 0.5, (1, 2.5, 6.3), "adobe_deflate"),
}


@pytest.fixture(scope="module", params=SLIDES)
def position_slide(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Slide:
    size, mpp, downsamples, compression = SLIDES[request.param]
    path = tmp_path_factory.mktemp("position") / "slide.tif"
    write_pyramid(
        path,
        position_image(*size),
        mpp=mpp,
        downsamples=downsamples,
        compression=compression,
        quality=98,
    )
    slide = Slide(path)
    assert slide.reader.name == ("jpeg-tiff" if compression == "jpeg" else "openslide")
    return slide


@pytest.mark.parametrize(
    ("mpp", "overlap_px"),
    [(0.5, 0), (0.46, 20), (0.77, 0), (1.0, 20), (1.25, 0), (2, 9), (3.3, 20)],
)
def test_pixels_are_within_one_pixel_of_their_level(
    position_slide: Slide, mpp: float, overlap_px: int
) -> None:
    slide, patch_px = position_slide, 61
    grid = build_grid(
        slide.size_l0,
        slide.require_mpp(),
        patch_px=patch_px,
        mpp=mpp,
        overlap_px=overlap_px,
        allow_upsampling=True,
    )
    assert np.abs(grid.coords - grid.boxes_l0()[:, :2]).max() <= 0.5
    level_size = slide.level_sizes[slide.crops([(0, 0)], patch_px, mpp).level]
    seen = 0
    for batch in stream(slide, grid.coords, patch_px, mpp, batch_size=50):
        assert batch.readable.all()
        for row, pixels in zip(batch.rows.tolist(), batch.pixels, strict=True):
            xy_l0 = grid.coords[row].tolist()
            if row % 3 == 0:
                assert np.array_equal(pixels, slide.read(xy_l0, patch_px, mpp))
            for axis in (0, 1):
                level_px = slide.size_l0[axis] / level_size[axis]
                seen += assert_in_place(
                    pixels, axis, xy_l0, grid.footprint_l0, slide.size_l0, level_px
                )
    assert seen > len(grid)


def assert_in_place(
    pixels: np.ndarray,
    axis: int,
    xy_l0: list[int],
    footprint_l0: tuple[float, float],
    size_l0: tuple[int, int],
    level_px: float,
) -> int:
    """Check each column (axis 0) or row (axis 1) of a patch; returns how many could be told.

    The wave's kinks and the slide's edges, where a colour is no longer a position, are left out
    by the breadth that resampling mixes.
    """
    step = footprint_l0[axis] / pixels.shape[1]
    at_l0 = xy_l0[axis] + (np.arange(pixels.shape[1]) + 0.5) * step
    across = xy_l0[1 - axis] + (np.arange(pixels.shape[1]) + 0.5) * step
    breadth = 2 * (step + level_px)
    lines = pixels[..., axis].astype(float) if axis == 0 else pixels[..., axis].astype(float).T
    inside = (across > breadth) & (across < size_l0[1 - axis] - breadth)
    clear = np.abs((at_l0 + 32) % 64 - 32) > breadth  # kinks at multiples of 64
    told = clear & (at_l0 > breadth) & (at_l0 < size_l0[axis] - breadth)
    outside = at_l0 > size_l0[axis] + breadth
    assert (lines[:, outside] == 255).all()
    if not (told.any() and inside.any()):
        return 0
    values = np.median(lines[inside][:, told], axis=0)
    phase = at_l0[told] % 128
    expected = 255 - np.abs(phase - 64) * SLOPE
    displacement_l0 = (values - expected) / np.where(phase < 64, SLOPE, -SLOPE)
    assert np.abs(displacement_l0).max() <= level_px + 0.3, (xy_l0, displacement_l0)
    return int(told.sum())
