"""A level made small in bands of tiles: as one area resampling of the whole."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histocnn.errors import ReadError
from histocnn.slides.geometry import Pixels, Size
from histocnn.slides.readers import Reader
from histocnn.slides.slide import Slide
from histocnn.slides.thumbnail import shrink_level
from tests.slide_files import (
    damage_tile,
    write_bounds_slide,
    write_pyramid,
    write_sparse_pyramid,
)


class Tiles(Reader):
    """A level in memory, cut into tiles; it counts how often each is asked for."""

    name = "memory"

    def __init__(self, image: Pixels, tile_size: Size) -> None:
        self.image, self.asked = image, []
        self.level_sizes = ((image.shape[1], image.shape[0]),)
        self.tile_sizes = (tile_size,)

    def tile(self, level: int, col: int, row: int, out: Pixels | None = None) -> Pixels:
        self.asked.append((col, row))
        w, h = self.tile_sizes[level]
        tile = np.zeros((h, w, 3), np.uint8)
        part = self.image[row * h : (row + 1) * h, col * w : (col + 1) * w]
        tile[: part.shape[0], : part.shape[1]] = part
        return tile


def test_halves_are_means_of_four_and_each_tile_is_decoded_once() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    image[:2, :2] = 40
    image[2:, 4:] = [[[0, 10, 20], [100, 10, 20]], [[0, 30, 20], [100, 30, 20]]]
    reader = Tiles(image, (3, 3))
    small = shrink_level(reader, 0, (3, 2))
    assert small[..., 1].tolist() == [[40, 0, 0], [0, 0, 20]]
    assert small[1, 2].tolist() == [50, 20, 20]
    assert sorted(reader.asked) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 17), st.integers(1, 17),
    st.integers(1, 40), st.integers(1, 40),
)  # fmt: skip
def test_any_size_and_tiling_is_one_resampling(
    w: int, h: int, tile_w: int, tile_h: int, to_w: int, to_h: int
) -> None:
    size = min(w, to_w), min(h, to_h)
    image = np.random.default_rng(w * h).integers(0, 256, (h, w, 3), np.uint8)
    expected = cv2.resize(image.astype(float), size, interpolation=cv2.INTER_AREA)
    found = shrink_level(Tiles(image, (tile_w, tile_h)), 0, size)
    assert np.abs(found - expected.reshape(found.shape)).max() <= 1.1


def test_thumbnail_in_bands_is_exact(tmp_path: Path) -> None:
    """One level, several bands of tiles, lengths that fit nothing: as one area resampling."""
    image = np.random.default_rng(0).integers(0, 256, (777, 1001, 3), np.uint8)
    path = write_pyramid(tmp_path / "s.tif", image, compression="lzw", downsamples=(1,))
    for mpp in (0.5, 0.61, 1.0, 7.3, 400):
        size = max(1, round(1001 * 0.5 / mpp)), max(1, round(777 * 0.5 / mpp))
        expected = cv2.resize(image.astype(float), size, interpolation=cv2.INTER_AREA)
        thumbnail = Slide(path).thumbnail(mpp=mpp)
        assert np.abs(thumbnail - expected).max() <= 1.1, mpp  # columns are rounded before rows


def test_thumbnail_is_white_where_nothing_is(tmp_path: Path) -> None:
    slide = Slide(write_bounds_slide(tmp_path / "b.scn"))
    thumbnail = slide.thumbnail(max_px=256)
    assert thumbnail.shape == (192, 256, 3)
    assert (thumbnail[:, :63] == 255).all()
    assert thumbnail[40:120, 70:190].max(axis=-1).mean() < 250
    sparse = Slide(write_sparse_pyramid(tmp_path / "s.tif", (9000, 8000), downsamples=(1, 8)))
    assert (sparse.thumbnail(mpp=8) == 255).all()


def test_thumbnail_forgives_a_damaged_tile_but_not_all(tmp_path: Path) -> None:
    image = np.zeros((256, 512, 3), np.uint8)
    path = write_pyramid(tmp_path / "s.tif", image, downsamples=(1,))
    damage_tile(path, 0, 1, 0)
    thumbnail = Slide(path).thumbnail(max_px=64)
    assert (thumbnail[:, :31] == 0).all()
    assert (thumbnail[:, 33:] == 255).all()
    damage_tile(path, 0, 0, 0)
    with pytest.raises(ReadError, match="level 0 cannot be decoded"):
        Slide(path).thumbnail(max_px=64)
