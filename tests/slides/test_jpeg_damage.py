"""Damage that a decoder passes over, told from sound tiles of every kind."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray

from histocnn.phantom.stain import GLASS_RGB
from histocnn.slides.jpeg_damage import ends_grey, is_damaged

Image = NDArray[np.uint8]


def decode(data: bytes) -> Image:
    return np.asarray(imagecodecs.jpeg8_decode(data, colorspace="YCBCR", outcolorspace="RGB"))


def tissue(seed: int, px: int = 128) -> Image:
    """Smooth stain with grain, as a tile of tissue is."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:px, :px] / px
    shade = np.sin(9 * x + seed) * np.cos(7 * y) * 40 + rng.normal(0, 12, (px, px))
    return (np.array([190, 120, 170]) + shade[..., None]).clip(0, 255).astype(np.uint8)


def flat(rgb: object) -> Image:
    return np.full((128, 128, 3), rgb, np.uint8)


SOUND: dict[str, Image] = {
    "tissue": tissue(1),
    "glass": flat(np.round(GLASS_RGB)),
    "white": flat(255),
    "black": flat(0),
    "grey": flat(128),
    "half black": np.concatenate([tissue(2)[:64], flat(0)[:64]]),
    "half white": np.concatenate([tissue(2)[:64], flat(255)[:64]]),
    "half grey": np.concatenate([tissue(2)[:64], flat(131)[:64]]),
    "noise": np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8),
}


@pytest.mark.parametrize("subsampling", ["444", "420"])
@pytest.mark.parametrize("optimise", [False, True])
@pytest.mark.parametrize("name", SOUND)
def test_sound_tiles_are_let_pass(name: str, optimise: bool, subsampling: str) -> None:
    for quality in (10, 50, 80, 100):
        data = imagecodecs.jpeg8_encode(
            SOUND[name], quality, subsampling=subsampling, optimize=optimise
        )
        assert not is_damaged(data, None, decode(data), decode)


def damaged(data: bytes, at: float) -> bytes:
    start = data.rindex(b"\xff\xda") + 14
    place = start + int((len(data) - 66 - start) * at)
    return data[:place] + bytes(64) + data[place + 64 :]


@pytest.mark.parametrize("optimise", [False, True])
def test_zeroed_bytes_in_tissue_are_found(optimise: bool) -> None:
    random, changed, found = Random(3), 0, 0  # noqa: S311 no secret
    for seed in range(60):
        sound = imagecodecs.jpeg8_encode(tissue(seed), 60, subsampling="420", optimize=optimise)
        data = damaged(sound, random.random())
        pixels = decode(data)
        differ = np.abs(pixels.astype(int) - decode(sound)).max(-1) > 8
        changed += bool(differ.any())
        found += bool(differ.any()) and is_damaged(data, None, pixels, decode)
    assert changed >= 55  # the oracle: most of it does harm that is seen
    assert found >= 0.97 * changed


def test_zeros_are_nothing_where_they_say_that_a_block_has_ended() -> None:
    pixels = flat(np.round(GLASS_RGB))
    data = imagecodecs.jpeg8_encode(np.tile(pixels, (8, 8, 1)), 80, optimize=True)
    assert bytes(64) in data  # what blank glass is with tables of its own
    assert not is_damaged(data, None, decode(data), decode)


def test_tables_that_lie_apart_are_looked_into() -> None:
    whole = imagecodecs.jpeg8_encode(tissue(4), 60, subsampling="420")
    begins = whole.index(b"\xff\xdb")
    scan = whole.index(b"\xff\xc0")
    huffman = whole.index(b"\xff\xc4")
    ends = whole.index(b"\xff\xda")
    tables = whole[:2] + whole[begins:scan] + whole[huffman:ends] + b"\xff\xd9"
    data = whole[:2] + whole[scan:huffman] + whole[ends:]

    def apart(data: bytes) -> Image:
        found = imagecodecs.jpeg8_decode(
            data, tables=tables, colorspace="YCBCR", outcolorspace="RGB"
        )
        return np.asarray(found)

    assert not is_damaged(data, tables, apart(data), apart)
    place = len(data) // 2
    broken = data[:place] + bytes(64) + data[place + 64 :]

    def never(data: bytes) -> Image:
        raise AssertionError("zeros in a row are seen without decoding")

    assert is_damaged(broken, tables, apart(broken), never)


@pytest.mark.parametrize("cut", [lambda body: body[:-40], lambda body: body[:-40] + body[-70:]])
def test_bytes_that_are_missing_or_left_over_are_found(cut: Callable[[bytes], bytes]) -> None:
    whole = imagecodecs.jpeg8_encode(tissue(5), 60, subsampling="420")
    data = cut(whole[:-2]) + b"\xff\xd9"
    assert is_damaged(data, None, decode(data), decode)


def test_a_tile_that_ends_in_mid_grey_ran_out_of_bytes_unless_all_of_it_is() -> None:
    whole = imagecodecs.jpeg8_encode(tissue(6), 60, subsampling="420")
    assert ends_grey(decode(whole[: len(whole) // 2] + b"\xff\xd9"))
    assert not ends_grey(decode(whole))
    assert not ends_grey(flat(128))
