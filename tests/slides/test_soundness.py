"""Every tile is decoded, and what is wrong with one is told with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from histocnn.slides.geometry import Pixels
from histocnn.slides.openslide_reader import OpenSlideReader
from histocnn.slides.readers import Reader
from histocnn.slides.slide import Slide
from histocnn.slides.soundness import Level, decode_all
from tests.slide_files import damage_tile, write_pyramid, write_sparse_pyramid, zero_bytes


def slide_file(path: Path, **how: Any) -> Path:
    """700 × 500 px of tissue and glass in tiles of 128 px: 6 × 4, and 3 × 2 on level 1."""
    rng = np.random.default_rng(0)
    image = np.full((500, 700, 3), 244, np.uint8)
    image[100:400, 150:600] = np.array([190, 120, 170]) + rng.normal(0, 20, (300, 450, 1))
    return write_pyramid(path, image, tile_px=128, downsamples=(1, 2), **how)


def look(path: Path) -> tuple[list[tuple[Any, ...]], list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    levels = decode_all(Slide(path, mpp=0.5).reader, 2, lambda *of: told.append(of))
    assert all(each.seconds > 0 for each in levels)
    return [_facts(each) for each in levels], told


def _facts(level: Level) -> tuple[Any, ...]:
    return (
        *(level.tiles, level.unreadable, level.damaged),
        *(level.first_unreadable_l0, level.first_damaged_l0, level.pixels),
    )


def test_a_sound_slide_has_nothing_to_tell(tmp_path: Path) -> None:
    levels, told = look(slide_file(tmp_path / "a.tiff"))
    assert levels == [(24, 0, 0, None, None, 350_000), (6, 0, 0, None, None, 87_500)]
    assert told == [(6, 30), (12, 30), (18, 30), (24, 30), (27, 30), (30, 30)]


def test_zeroed_bytes_and_a_tile_that_is_gone_are_told_with_their_places(tmp_path: Path) -> None:
    path = slide_file(tmp_path / "a.tiff")
    zero_bytes(path, 0, 2, 1)
    zero_bytes(path, 0, 3, 2, after=0.7)
    damage_tile(path, 0, 4, 3)
    zero_bytes(path, 1, 1, 1)
    levels, _ = look(path)
    assert levels[0][:5] == (24, 1, 2, (512, 384), (256, 128))
    assert levels[1][:5] == (6, 0, 1, None, (256, 256))  # of level 0


def test_blank_glass_empty_tiles_and_black_padding_are_no_damage(tmp_path: Path) -> None:
    image = np.full((500, 700, 3), 255, np.uint8)
    image[:, 500:] = 0
    image[200:300] = 244
    for name, how in {
        "white": {},
        "rgb": {"photometric": "rgb"},
        "coarse": {"quality": 20},
    }.items():
        path = write_pyramid(tmp_path / f"{name}.tiff", image, tile_px=128, **how)
        assert all(facts[1:3] == (0, 0) for facts in look(path)[0])
    black = np.zeros((256, 256, 3), np.uint8)
    sparse = write_sparse_pyramid(
        tmp_path / "sparse.tiff",
        (2000, 1000),
        downsamples=(1, 4),
        tile_at=lambda level, col, row: black if (col, row) == (1, 1) else None,
    )
    assert [facts[:3] for facts in look(sparse)[0]] == [(32, 0, 0), (2, 0, 0)]


def test_openslide_refuses_what_runs_out_of_bytes(tmp_path: Path) -> None:
    path = slide_file(tmp_path / "a.tiff", quality=50)
    for col in range(1, 5):
        zero_bytes(path, 0, col, 1, after=0.3)
    slide = Slide(path, mpp=0.5)
    reader = OpenSlideReader(path, slide.level_sizes, slide.properties)
    level, _ = decode_all(reader, 2, lambda *_: None)
    assert (level.unreadable, level.damaged, level.first_unreadable_l0) == (4, 0, (128, 128))


class Grey(Reader):
    """A level of 150 × 100 px in tiles of 64 px, decoded by somebody who says nothing of grey."""

    name = "grey"
    level_sizes = ((150, 100),)
    tile_sizes = ((64, 64),)

    def tile(self, level: int, col: int, row: int, out: Pixels | None = None) -> Pixels:
        """White; the bottom of column 1, row 1, as far as it lies on the level, is mid-grey."""
        pixels = np.full((64, 64, 3), 255, np.uint8)
        if (col, row) == (1, 1):
            pixels[24:36] = 128
        return pixels


def test_a_tile_that_ends_in_mid_grey_on_the_slide_is_damaged_whoever_decodes_it() -> None:
    (level,) = decode_all(Grey(), 1, lambda *_: None)
    assert (level.tiles, level.damaged, level.first_damaged_l0) == (6, 1, (64, 64))
