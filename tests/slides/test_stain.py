from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from histocnn.errors import ReadError
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


@pytest.mark.parametrize("vector", [*HED, (0.83, 0.51, 0.21)], ids=["H", "E", "DAB", "Giemsa"])
def test_one_stain_is_not_taken_for_two_however_noisy(vector):
    rng = np.random.default_rng(0)
    amount = 0.2 + gaussian_filter(rng.normal(size=(224, 224)), 4, mode="wrap") * 6
    density = np.clip(amount, 0.2, 2)[..., None] * np.asarray(vector) / np.linalg.norm(vector)
    noisy = 256 * np.exp(-density - 0.16) - 1 + rng.normal(0, 3, density.shape)
    _, coded = cv2.imencode(".jpg", np.rint(noisy.clip(0, 255)), [cv2.IMWRITE_JPEG_QUALITY, 60])
    image = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert stain.estimate(image) is None
    assert "one colour alone" in stain.find(image)


def test_stains_that_are_nearly_one_are_refused():
    near = np.array([[0.55, 0.75, 0.37], [0.50, 0.78, 0.38]])
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    apart = np.degrees(np.arccos((near[0] * near[1]).sum()))
    assert 3 < apart < 4.5
    rng = np.random.default_rng(0)
    share = rng.uniform(0, 1, (120, 120, 1))  # no glass: all of the variance lies between the two
    density = share * near[0] + (1 - share) * near[1]
    image = np.rint(256 * np.exp(-density) - 1).astype(np.uint8)
    assert "apart" in stain.find(image)


def test_a_slides_stains_are_those_of_its_pixels_at_working_resolution():
    # Nuclei as dark as 1.5 in patches: an overview's pixels would be paler.
    patches = [stained(OURS, (1.5, 1.0), seed) for seed in range(40)]
    read = []

    def reader(row):
        read.append(row)
        if row == 3:
            raise ReadError("a tile", "None.")
        return patches[row]

    tissue = np.ones(40)
    tissue[::2] = 0.5
    found = stain.sample(reader, tissue)
    assert len(read) == 32
    assert read == sorted(read)
    assert set(range(1, 40, 2)) <= set(read)  # all that have most tissue, and some others
    assert found.patches == 31
    assert found.stains.maxima == pytest.approx((1.5, 1.0), rel=0.05)
    assert stain.sample(lambda row: patches[row], tissue) == stain.sample(
        lambda row: patches[row], tissue
    )
    pooled = stain.estimate(np.stack(patches))
    change = stain.normalise(patches[0], found.stains).astype(int)
    assert np.abs(change - stain.normalise(patches[0], pooled)).max() <= 2
    assert stain.Sampled.from_dict(found.to_dict()) == found


def test_no_stains_are_kept_with_the_reason():
    glass = np.full((64, 64, 3), 243, np.uint8)
    found = stain.sample(lambda row: glass, np.ones(2))
    assert found.stains is None
    assert found.none == "fewer than 500 stained pixels"
    assert stain.Sampled.from_dict(found.to_dict()) == found
    assert stain.sample(lambda row: glass, np.ones(0)).none == "no patch could be read"
    older = {"vectors": OURS.tolist(), "maxima": [1.0, 1.0]}  # an earlier version's, of an overview
    assert stain.Sampled.from_dict(older).stains == Stains.from_dict(older)


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
    assert normaliser.notes(9) == ["stain of 2 of 9 patches left as it is: none to go by"]
    assert Normaliser().notes(9) == []
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
