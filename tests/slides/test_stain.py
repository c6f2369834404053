from __future__ import annotations

import numpy as np
import pytest

from histocnn.slides import stain
from histocnn.slides.stain import Normaliser, Stains

HED = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
HED /= np.linalg.norm(HED, axis=1, keepdims=True)


def reference_jitter(pixels, alpha, beta):
    """The definition, in float64 and in its own words."""
    density = -np.log((pixels.astype(np.float64) + 1) / 256)
    amounts = density @ np.linalg.inv(HED)
    changed = (alpha * amounts + beta) @ HED
    return np.clip(np.rint(256 * np.exp(-changed) - 1), 0, 255)


@pytest.mark.parametrize("sigma", [0.05, 0.2])
@pytest.mark.parametrize("seed", range(5))
def test_jitter_is_the_definition_within_two_grey_levels(sigma, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (64, 48, 3), dtype=np.uint8)
    alpha, beta = stain.draw_hed_jitter(rng, sigma)
    found = stain.hed_jitter(pixels, alpha, beta).astype(float)
    assert np.abs(found - reference_jitter(pixels, alpha, beta)).max() <= 2
    assert np.abs(found - pixels).max() > 2  # it does something


@pytest.mark.parametrize("sigma", [0.05, 0.5])
def test_glass_stays_white(sigma):
    rng = np.random.default_rng(0)
    glass = np.full((4, 4, 3), 255, np.uint8)
    for _ in range(200):
        assert stain.hed_jitter(glass, *stain.draw_hed_jitter(rng, sigma)).min() >= 252


def test_the_draw_stays_in_its_range():
    rng = np.random.default_rng(0)
    alphas, betas = zip(*(stain.draw_hed_jitter(rng, 0.05) for _ in range(500)), strict=True)
    assert 0.95 <= np.min(alphas) < 0.955
    assert 1.045 < np.max(alphas) <= 1.05
    assert (np.abs(betas) <= 0.05 * stain.HED_STD).all()


def stained(vectors, maxima, seed=0, side=120):
    """An image made of two stains: nuclei, cytoplasm, glass."""
    rng = np.random.default_rng(seed)
    amounts = np.zeros((side * side, 2))
    kind = rng.integers(0, 3, side * side)
    amounts[kind == 0, 0] = rng.uniform(0.5, 1, (kind == 0).sum()) * maxima[0]
    amounts[kind == 1, 1] = rng.uniform(0.5, 1, (kind == 1).sum()) * maxima[1]
    density = amounts @ np.asarray(vectors)
    return (
        np.rint(np.clip(256 * np.exp(-density) - 1, 0, 255)).astype(np.uint8).reshape(side, side, 3)
    )


OURS = np.array([[0.55, 0.75, 0.37], [0.25, 0.85, 0.46]])
OURS /= np.linalg.norm(OURS, axis=1, keepdims=True)


def test_macenko_finds_the_stains_an_image_was_made_of():
    found = stain.estimate(stained(OURS, (1.5, 1.0)))
    assert found is not None
    angles = np.degrees(np.arccos(np.clip((np.array(found.vectors) * OURS).sum(1), -1, 1)))
    assert angles.max() < 1.5
    assert np.allclose(found.maxima, (1.5, 1.0), rtol=0.05)


def test_normalised_slides_look_alike_and_their_glass_is_white():
    other = np.array([[0.7, 0.6, 0.38], [0.35, 0.85, 0.3]])
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    first, second = stained(OURS, (1.5, 1.0)), stained(other, (2.0, 1.2))
    a, b = (stain.normalise(image, stain.estimate(image)) for image in (first, second))
    assert np.abs(first.astype(float) - second).mean() > 10
    assert np.abs(a.astype(float) - b).mean() < 3
    glass = (first == 255).all(-1)
    assert glass.any()
    assert (a[glass] == 255).all()


def test_too_little_tissue_passes_unchanged_and_is_counted():
    normaliser = Normaliser(per_patch=True)
    blank = np.full((64, 64, 3), 244, np.uint8)
    blank[:10, :10] = (120, 60, 140)  # 100 stained pixels
    assert (normaliser(blank, None) == blank).all()
    assert normaliser.unchanged == 1
    grey = np.full((64, 64, 3), 100, np.uint8)  # tissue-dark, but of one colour
    assert (normaliser(grey, None) == grey).all()
    assert normaliser.unchanged == 2
    assert (normaliser(stained(OURS, (1.5, 1.0)), None) != 255).any()
    assert normaliser.unchanged == 2


def test_a_slide_without_stains_leaves_its_patches():
    normaliser = Normaliser()
    pixels = stained(OURS, (1.5, 1.0))
    assert (normaliser(pixels, None) == pixels).all()
    assert (
        normaliser(pixels, Stains.from_dict({"vectors": OURS, "maxima": [1, 1]})) != pixels
    ).any()


def test_a_normaliser_survives_json():
    stored = Normaliser(per_patch=True).to_dict()
    assert Normaliser.from_dict(stored) == Normaliser(per_patch=True)
