"""Overviews at 8 µm/px that H&E's rules do not fit, each with where its tissue is."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Bools = NDArray[np.bool_]
GLASS = (242.0, 241.0, 243.0)
SHAPE = (300, 400)


def section() -> Bools:
    """A piece of tissue that covers a quarter of the slide."""
    mask = np.zeros(SHAPE, np.uint8)
    cv2.ellipse(mask, (200, 150), (130, 80), 20, 0, 360, 1, -1)
    return mask > 0


def _fields(seed: int, sigma_px: float) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma_px)
    return np.asarray(smooth / smooth.std(), np.float32)


def _developed(density: NDArray[np.floating], seed: int = 9) -> Pixels:
    light = np.array(GLASS) * np.exp(-density)
    noise = np.random.default_rng(seed).normal(0, 1, (*SHAPE, 1))
    return np.clip(np.rint(light + noise), 0, 255).astype(np.uint8)


def dark_field() -> Pixels:
    """Fluorescence: tissue shines blue and green before black."""
    shine = section() * (90 + 30 * _fields(1, 3))
    image = np.stack([0.1 * shine, 0.5 * shine, shine], axis=-1) + 6
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def blue_stain() -> Pixels:
    """Brain in Luxol fast blue: it absorbs red most, as ink does."""
    amount = section() * (0.5 + 0.15 * _fields(2, 4)).clip(0.15)
    return _developed(amount[..., None] * np.array([1.0, 0.55, 0.12]))


def blood_smear() -> Pixels:
    """Haemoglobin: green and blue are absorbed, red passes."""
    amount = section() * (1.5 + 0.3 * _fields(3, 2)).clip(0.5)
    return _developed(amount[..., None] * np.array([0.1, 1.0, 0.75]))


def pale_fat() -> Pixels:
    """Fat cells of 80 µm: thin pale walls around nothing."""
    rng = np.random.default_rng(4)
    rows, columns = np.mgrid[0 : SHAPE[0] : 9, 0 : SHAPE[1] : 10]
    seeds = np.zeros(SHAPE, np.uint8)
    jitter = rng.integers(-2, 3, (2, *rows.shape))
    y, x = np.clip(rows + jitter[0], 0, 299), np.clip(columns + jitter[1], 0, 399)
    seeds[y, x] = 1
    _, cells = cv2.distanceTransformWithLabels(
        1 - seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    walls = (cells != np.roll(cells, 1, 0)) | (cells != np.roll(cells, 1, 1))
    wall = cv2.GaussianBlur((walls & section()).astype(np.float32), (0, 0), 0.6)
    return _developed(0.09 * wall[..., None] * np.array([0.8, 1.0, 0.85]))


def grey() -> Pixels:
    """A slide that was scanned without colour."""
    amount = section() * (0.6 + 0.2 * _fields(5, 3)).clip(0.15)
    light = 242 * np.exp(-amount)
    return np.repeat(np.rint(light).astype(np.uint8)[..., None], 3, axis=2)


def all_pen() -> Pixels:
    """Nothing but a blotch of blue ink."""
    image = _developed(np.zeros((*SHAPE, 3)))
    image[section()] = (30, 50, 160)
    return image


STRANGE = {
    each.__name__: each for each in (dark_field, blue_stain, blood_smear, pale_fat, grey, all_pen)
}
