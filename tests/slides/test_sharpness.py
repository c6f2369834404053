"""Sharpness: blur read in µm from pictures whose blur is known, made or real."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from histocnn.patches.grid import build_grid
from histocnn.regions.tissue import detect_tissue
from histocnn.slides.sharpness import (
    detail,
    equivalent_blur,
    expected,
    sharpest_detail,
)
from histocnn.slides.slide import Slide

Pixels = NDArray[np.uint8]


def natural(seed: int, side: int = 256) -> NDArray[np.float32]:
    """A grey picture of power 1 / f², periodic, of deviation 25."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side)] * 2))
    frequency[0, 0] = 1
    picture = np.fft.ifft2(np.fft.fft2(rng.normal(size=(side, side))) / frequency).real
    return np.asarray(150 + 25 * picture / picture.std(), np.float32)


def as_patches(*pictures: NDArray[np.float32]) -> Pixels:
    grey = np.rint(np.clip(np.stack(pictures), 0, 255)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=3)


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0])
def test_a_gaussian_is_read_in_um_at_any_scale(mpp: float) -> None:
    sharp = [natural(seed) for seed in range(4)]
    sharpest = sharpest_detail(detail(as_patches(*sharp), mpp))
    for sigma_um in (1.0, 2.0, 3.0):
        soft = [gaussian_filter(each, sigma_um / mpp, mode="wrap") for each in sharp]
        found = equivalent_blur(detail(as_patches(*soft), mpp), mpp, sharpest)
        assert found == pytest.approx(sigma_um, rel=0.2), (mpp, sigma_um)


def test_expected_detail_by_hand() -> None:
    # Bands 0.6, 1.2, 2.4: a, b, c = 0.36, 1.44, 5.76: both ratios are 1.5625, their logarithm 0.
    # Blurred by 1: 1.36, 2.44, 6.76: ln(14.44 / 13.2736) / ln(84.64 / 65.9776) = 0.3381.
    assert expected(np.array([0.0, 1.0]), 0.5) == pytest.approx([0, np.log(0.33810)], abs=1e-3)
    assert equivalent_blur(np.array([0.0, np.log(0.3381)], np.float32), 0.5, 0.0) == pytest.approx(
        [0, 1], abs=0.01
    )


def test_where_nothing_is_to_be_seen_nothing_is_said() -> None:
    glass = np.full((1, 64, 64, 3), 243, np.uint8)
    assert np.isnan(detail(glass, 0.5)).all()
    assert np.isnan(sharpest_detail(detail(glass, 0.5)))
    found = equivalent_blur(np.array([np.nan, -0.5], np.float32), 0.5, 0.0)
    assert np.isnan(found[0])
    assert found[1] > 0
    assert detail(np.zeros((0, 64, 64, 3), np.uint8), 0.5).shape == (0,)


def degraded(patch: Pixels, sigma_px: float, rng: np.random.Generator) -> Pixels:
    """Blurred, then with noise of deviation 2 and JPEG of quality 70 over the blur."""
    soft = patch.astype(np.float32)
    if sigma_px:
        soft = cv2.GaussianBlur(soft, (0, 0), sigma_px)
    noisy = np.clip(np.rint(soft + rng.normal(0, 2, soft.shape)), 0, 255).astype(np.uint8)
    _, coded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 70])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def test_blur_below_noise_and_jpeg_is_found_on_slides_that_set_no_threshold(shared: Path) -> None:
    """Set on CRC01-west, shown on CRC01-middle and CMU-1: 1 µm against none."""

    def measured(name: str, mpp: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        slide, rng = Slide(shared / "data" / "slides" / name), np.random.default_rng(0)
        tissue = detect_tissue(slide)
        grid = build_grid(slide.size_l0, slide.require_mpp(), patch_px=224, mpp=mpp, tissue=tissue)
        rows = rng.permutation(len(grid))[:50]
        patches = [slide.read((float(x), float(y)), 224, mpp) for x, y in grid.coords[rows]]
        sharp, soft = (
            detail(np.stack([degraded(patch, um / mpp, rng) for patch in patches]), mpp)
            for um in (0.0, 1.0)
        )
        sharpest = sharpest_detail(sharp)
        return equivalent_blur(sharp, mpp, sharpest), equivalent_blur(soft, mpp, sharpest)

    sharp, soft = measured("CRC01-west.tiff", 1.3)
    threshold = (np.quantile(sharp, 0.95) + np.quantile(soft, 0.05)) / 2
    for name, mpp in [("CRC01-middle.tiff", 1.3), ("CMU-1-Small-Region.svs", 0.5)]:
        sharp, soft = measured(name, mpp)
        assert np.mean(soft >= threshold) >= 0.9, name
        assert np.mean(sharp < threshold) >= 0.9, name
