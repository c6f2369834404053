"""Pictures over a thumbnail: where things are painted, and that the picture is whole."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.pictures.overlay import canvas, lay, paint, shrunk, tissue_share


def test_colours_lie_as_opaque_as_they_are_told() -> None:
    picture = np.full((1, 3, 3), 200, dtype=np.uint8)
    colours = np.array([[[0, 100, 0]] * 3], dtype=np.uint8)
    laid = lay(picture, colours, np.array([[0, 127, 255]], np.uint8))
    assert laid.tolist() == [[[200, 200, 200], [100, 150, 100], [0, 100, 0]]]


def test_values_are_painted_in_their_colour_as_opaque_as_they_are_and_as_there_is_tissue() -> None:
    """Clear at 0, half of black at 1; in another colour where each pixel is called one."""
    picture = np.full((1, 4, 3), 200, np.uint8)
    values = np.array([[0, 1, 1, 1]], np.float32)
    tissue = np.array([[255, 255, 51, 0]], np.uint8)
    opacity, colours = np.linspace(0, 0.5, 256), np.zeros((256, 3), np.uint8)
    painted = paint(picture, values, tissue, opacity, colours)[0, :, 0]
    assert painted.tolist() == pytest.approx([200, 100, 180, 200], abs=1)
    colours[7] = (0, 100, 250)
    called = np.full((1, 4), 7, np.uint8)
    (_, pixel, *_), *_ = paint(picture, values, tissue, opacity, colours, called)
    assert pixel.tolist() == pytest.approx([100, 150, 225], abs=1)


def test_tissue_is_what_differs_from_the_glass_around_it() -> None:
    picture = np.full((60, 90, 3), (244, 243, 246), np.uint8)
    picture[:, ::2] -= 2  # as a JPEG's noise
    picture[20:40, 30:60] = (200, 120, 170)
    share = tissue_share(picture)
    assert (share[20:40, 30:60] == 255).all()
    assert (share[:18] == 0).all()
    assert (share[:, 63:] == 0).all()


def test_where_there_is_no_glass_all_is_tissue() -> None:
    assert (tissue_share(np.full((20, 20, 3), (190, 110, 160), np.uint8)) == 255).all()


def test_small_thumbnail_is_enlarged_and_anisotropic_one_set_right() -> None:
    thumbnail = np.zeros((50, 100, 3), dtype=np.uint8)
    assert canvas(thumbnail, (1000, 500), (0.5, 0.5)).shape == (500, 1000, 3)
    assert canvas(thumbnail, (1000, 500), (0.5, 1.0)).shape == (1000, 1000, 3)
    large = np.zeros((1001, 1200, 3), dtype=np.uint8)
    assert canvas(large, (12000, 10010), (0.5, 0.5)).shape == large.shape


def test_a_large_thumbnail_is_made_small_of_all_its_pixels_and_a_small_one_kept() -> None:
    pixels = np.zeros((2, 400, 3), np.uint8)
    pixels[:, ::2] = 200
    assert (shrunk(pixels, 200) == 100).all()
    assert shrunk(pixels, 200).shape == (1, 200, 3)
    assert shrunk(pixels, 400) is pixels
