"""Maps over images and slides: colours, what is undefined, what lies beside tissue."""

from __future__ import annotations

import numpy as np

from histocnn.pictures.attribution import beside_slide, diverging, over_image, probability, row
from histocnn.pictures.mosaic import DEAD
from histocnn.pictures.palette import OKABE_ITO, shade

PIXELS = np.full((50, 50, 3), 200, np.uint8)


def test_a_map_covers_its_image_lighter_where_it_is_larger() -> None:
    values = np.zeros((50, 50), np.float32)
    values[:, 25:] = 1
    laid = over_image(PIXELS, values, side_px=100)
    assert laid.shape == (100, 100, 3)
    light, dark = laid[50, 90].astype(int), laid[50, 10].astype(int)
    expected = 0.45 * 200 + 0.55 * shade(np.array(1.0), "plasma")
    assert np.abs(light - expected).max() <= 1
    assert light.sum() > dark.sum()


def test_an_undefined_map_is_crossed_out() -> None:
    crossed = over_image(PIXELS, None, side_px=100)
    assert (crossed[20, 80] == (0.4 * 200 + 0.6 * np.array(DEAD)).astype(int)).sum() < 3
    assert (crossed[10, 50] == (0.4 * 200 + 0.6 * np.array(DEAD)).astype(int)).all()


def test_a_diverging_scale_ends_at_the_larger_sign() -> None:
    colours = diverging(np.array([[-2, -1, 0, 1, np.nan]], np.float32))[0]
    assert colours[0].tolist() == OKABE_ITO[0].tolist()
    assert colours[2].tolist() == [255, 255, 255]
    half = np.rint(255 + 0.5 * (OKABE_ITO[3].astype(float) - 255))
    assert colours[3].tolist() == half.tolist()
    assert colours[4].tolist() == list(DEAD)
    assert diverging(np.full((1, 1), np.nan, np.float32))[0, 0].tolist() == list(DEAD)


def test_a_slide_lies_beside_its_score_and_attribution() -> None:
    score = np.array([[0.0, np.nan]], np.float32)
    picture = beside_slide(np.full((100, 200, 3), 90, np.uint8), score, score)
    assert picture.shape == (240, 3 * 480 + 2 * 6, 3)
    assert picture[10, 10].tolist() == [90, 90, 90]
    assert picture[10, 480 + 6 + 10].tolist() == shade(np.array(0.0)).tolist()
    assert picture[10, 480 + 6 + 470].tolist() == list(DEAD)
    assert probability(score)[0, 1].tolist() == list(DEAD)
    assert row([PIXELS, PIXELS]).shape == (50, 106, 3)
