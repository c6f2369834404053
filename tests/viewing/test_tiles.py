"""Tiles: the slide's own pixels where the scale is its own, and never far from their place."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.slides.slide import Slide
from histocnn.viewing import tiles
from histocnn.viewing.frame import frame_of
from histocnn.viewing.tiles import Cache, Gone, jpeg, tile
from tests.slide_files import damage_tile, position_colour, position_image, write_pyramid


def test_at_the_last_zoom_a_tile_is_a_copy_of_level_0(tmp_path: Path) -> None:
    image = position_image(700, 500)
    slide = Slide(write_pyramid(tmp_path / "a.tiff", image, compression="deflate"))
    frame = frame_of(slide)
    pixels, whole = tile(slide, frame, frame.depth, 1, 1)
    assert whole
    assert np.array_equal(pixels[:244], image[256:500, 256:512])
    assert (pixels[244:] == 255).all()  # below the slide


@pytest.mark.parametrize("downsamples", [(1, 2, 4), (1, 2.0005, 3.3), (1,)])
@pytest.mark.parametrize("mpp", [(0.5, 0.5), (0.5, 0.8)])
def test_a_pixel_lies_within_one_pixel_of_its_place_at_every_zoom(
    tmp_path: Path, downsamples: tuple[float, ...], mpp: tuple[float, float]
) -> None:
    image = position_image(700, 600)
    path = write_pyramid(
        tmp_path / "a.tiff", image, downsamples=downsamples, mpp=mpp, compression="deflate"
    )
    slide = Slide(path)
    frame = frame_of(slide)
    for zoom in range(frame.depth + 1):
        scale = 2 ** (frame.depth - zoom)
        if scale > 4:  # the colours' period of 128 px is too few of its pixels
            continue
        pixels, _ = tile(slide, frame, zoom, 0, 0)
        at = np.arange(256) + 0.5
        x, y = at[None] * scale * frame.unit / mpp[0], at[:, None] * scale * frame.unit / mpp[1]
        inside = (x < 690) & (y < 590)
        found = [
            np.abs(pixels - position_colour(x + dx * scale, y + dy * scale))[..., :2].max(axis=2)
            for dx in (-0.5, 0.5)
            for dy in (-0.5, 0.5)
        ]
        off = np.min(found, axis=0)[inside]
        assert np.percentile(off, 90) <= 4 * scale  # 4 grey levels a level-0 pixel; tops are cut


def test_a_file_without_small_levels_is_made_small_in_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = cv2.GaussianBlur(position_image(1400, 1100), (0, 0), 3)
    path = write_pyramid(tmp_path / "a.tiff", image, downsamples=(1,), compression="deflate")
    slide = Slide(path)
    frame = frame_of(slide)
    at_once, _ = tile(slide, frame, 0, 0, 0)
    monkeypatch.setattr(tiles, "_MOST_PX", 300)
    in_steps, whole = tile(slide, frame, 0, 0, 0)
    assert whole
    assert np.abs(at_once.astype(int) - in_steps).max() <= 3
    with pytest.raises(Gone):
        tile(slide, frame, 0, 0, 0, stops_after(5))


def stops_after(times: int):  # type: ignore[no-untyped-def]
    left = iter(range(times))

    def wanted() -> None:
        if next(left, None) is None:
            raise Gone

    return wanted


def test_what_cannot_be_decoded_is_grey_and_said(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tiff", position_image(700, 500), downsamples=(1,))
    damage_tile(path, 0, 1, 0)
    slide = Slide(path)
    frame = frame_of(slide)
    pixels, whole = tile(slide, frame, frame.depth, 1, 0)
    assert not whole
    assert (pixels == 215).all()
    assert tile(slide, frame, frame.depth, 0, 0)[1]


def test_jpeg_keeps_colours_sharp() -> None:
    red_beside_blue = np.zeros((16, 16, 3), np.uint8)
    red_beside_blue[:, :7, 0] = red_beside_blue[:, 7:, 2] = 200
    back = cv2.imdecode(np.frombuffer(jpeg(red_beside_blue), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(back.astype(int) - red_beside_blue).max() <= 40


def test_the_cache_keeps_what_was_used_last_in_so_many_bytes() -> None:
    cache = Cache(100)
    for number in range(50):
        cache.keep(number, bytes(10))
        cache.get(0)
    assert cache.size == 100
    assert cache.get(0) is not None
    assert cache.get(1) is None
    assert cache.keep("large", bytes(101)) == bytes(101)
    assert cache.get("large") is None
    cache.keep(0, bytes(20))
    assert cache.size <= 100
