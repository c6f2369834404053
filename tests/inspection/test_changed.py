"""Changes of tissue: each does what it says, always the same, and keeps the size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from histocnn.inspection import changed
from histocnn.slides.stain import HED, HED_INVERSE


@pytest.fixture(scope="module")
def patch() -> np.ndarray:
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(0, 1, (64, 64, 3)), (3, 3, 0)) * 400
    return np.clip(170 + smooth, 0, 255).astype(np.uint8)


def test_every_change_keeps_the_shape_and_repeats_itself(patch):
    for name, change in changed.changes().items():
        once = change(patch)
        assert once.shape == patch.shape, name
        assert once.dtype == np.uint8
        assert (once == change(patch)).all(), name
        assert (once != patch).any(), name
    assert list(changed.changes()) == [
        "stain: H +30 %, E -30 %",
        "stain: H -30 %, E +30 %",
        "blur of 1 px",
        "blur of 2 px",
        "JPEG of quality 30",
        "JPEG of quality 10",
        "scale -20 %",
        "scale +20 %",
    ]


def test_stain_changes_the_amounts_and_leaves_glass_white():
    amounts = np.array([0.4, 0.3, 0.05])
    pixel = 256 * np.exp(-(amounts @ HED)) - 1
    made = changed.stained(1.3, 0.7)(np.full((4, 4, 3), np.rint(pixel), np.uint8))
    found = -np.log((made[0, 0] + 1.0) / 256) @ HED_INVERSE
    np.testing.assert_allclose(found, amounts * [1.3, 0.7, 1], atol=0.03)
    white = np.full((4, 4, 3), 255, np.uint8)
    assert (changed.stained(1.3, 0.7)(white) == 255).all()


def test_blur_is_a_gaussian_of_that_width(patch):
    found = changed.blurred(2.0)(patch)[12:-12, 12:-12]
    expected = gaussian_filter(patch.astype(float), (2, 2, 0))[12:-12, 12:-12]
    assert np.abs(found - expected).max() <= 1.5


def test_jpeg_is_the_codecs_own(patch, tmp_path):
    Image.fromarray(patch).save(tmp_path / "a.jpg", quality=10)  # another program's, RGB
    expected = np.asarray(Image.open(tmp_path / "a.jpg")).astype(int)
    assert np.abs(changed.compressed(10)(patch) - expected).mean() < 1


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_scale_moves_what_it_shows_away_from_the_centre(factor):
    pixels = np.full((101, 101, 3), 255, np.uint8)
    cv2.circle(pixels, (70, 50), 4, (0, 0, 0), -1)
    made = changed.scaled(factor)(pixels)
    row, column = np.argwhere(made[20:80, 50:, 0] < 128).mean(axis=0)
    np.testing.assert_allclose((row, column), (30, 20 * factor), atol=1)


def test_all_patches_are_changed(patch):
    both = changed.apply(changed.blurred(1.0), np.stack([patch, 255 - patch]))
    assert both.shape == (2, 64, 64, 3)
    assert (both[0] == changed.blurred(1.0)(patch)).all()
