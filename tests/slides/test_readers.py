"""Readers: the fast path's pixels are OpenSlide's, and what it must not take."""

from __future__ import annotations

from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile

from histocnn.errors import ReadError, SlideError
from histocnn.slides.readers import over_white
from histocnn.slides.slide import Slide
from tests.slide_files import (
    damage_tile,
    position_image,
    write_bounds_slide,
    write_pyramid,
    write_sparse_pyramid,
)

APERIO = "Aperio Image Library v1\r\n600x500|AppMag = 20|MPP = 0.5"
REAL = [
    "CMU-1-Small-Region.svs",
    "CRC01-west.tiff",
    "CRC01-middle.tiff",
    "TCGA-XK-AAJU-prostate-pen-marks.tiff",
]
WRITTEN = {
    "YCbCr": {},
    "chroma at half": {"subsampling": (2, 2), "quality": 80},
    "RGB": {"photometric": "rgb"},
    "Aperio RGB": {"photometric": "rgb", "description": APERIO},
    "240 px tiles": {"tile_px": 240, "subsampling": (2, 1)},
    "odd downsamples": {"downsamples": (1, 3, 5)},
}


def assert_equal_to_openslide(path: Path) -> None:
    """At level 0 and at aligned positions of each integer downsample, corners and edges too."""
    slide = Slide(path)
    assert slide.reader.name == "jpeg-tiff"
    with openslide.OpenSlide(path) as other:
        for level, (w, h) in enumerate(slide.level_sizes):
            downsample = other.level_downsamples[level]
            is_integer = downsample == round(downsample)
            xs = (0, 7, w // 2 - 50, w - 100, w - 31) if is_integer else (0,)
            ys = (0, 5, h // 2 - 60, h - 100, h - 29) if is_integer else (0,)
            for x in xs:
                for y in ys:
                    x_l0, y_l0 = round(max(x, 0) * downsample), round(max(y, 0) * downsample)
                    theirs = over_white(
                        np.asarray(other.read_region((x_l0, y_l0), level, (300, 270)))
                    )
                    ours = slide.reader.read(level, max(x, 0), max(y, 0), 300, 270)
                    assert np.array_equal(ours, theirs), (path.name, level, x, y)


@pytest.mark.parametrize("name", REAL)
def test_real_slides_have_openslides_pixels(shared: Path, name: str) -> None:
    assert_equal_to_openslide(shared / "data" / "slides" / name)


@pytest.mark.parametrize("kind", WRITTEN)
def test_written_slides_have_openslides_pixels(tmp_path: Path, kind: str) -> None:
    path = write_pyramid(tmp_path / "slide.tif", position_image(601, 487), **WRITTEN[kind])
    assert_equal_to_openslide(path)


def test_shared_jpeg_tables_have_openslides_pixels(tmp_path: Path) -> None:
    path = tmp_path / "tables.tif"
    image = position_image(512, 256)
    streams = [imagecodecs.jpeg8_encode(image[:, x : x + 256], 90) for x in (0, 256)]
    tables, first = split_tables(streams[0])
    tifffile.imwrite(
        path,
        iter([first, split_tables(streams[1])[1]]),
        shape=image.shape,
        dtype=np.uint8,
        tile=(256, 256),
        photometric="rgb",
        compression="jpeg",
        subsampling=(2, 2),
        jpegtables=tables,
        metadata=None,
    )
    assert_equal_to_openslide(path)


def split_tables(stream: bytes) -> tuple[bytes, bytes]:
    """A JPEG stream's quantisation and Huffman tables as a stream of their own, and the rest."""
    tables, rest, at = b"\xff\xd8", b"\xff\xd8", 2
    while stream[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
        if stream[at + 1] in (0xDB, 0xC4):
            tables += stream[at:end]
        else:
            rest += stream[at:end]
        at = end
    return tables + b"\xff\xd9", rest + stream[at:]


def test_outside_the_level_is_white(tmp_path: Path) -> None:
    image = np.zeros((300, 280, 3), np.uint8)
    for compression in ("jpeg", "adobe_deflate"):
        path = write_pyramid(tmp_path / f"{compression}.tif", image, compression=compression)
        pixels = Slide(path).reader.read(0, -10, -20, 300, 340)
        inside = np.zeros((340, 300), bool)
        inside[20:320, 10:290] = True
        assert (pixels[inside] == 0).all()
        assert (pixels[~inside] == 255).all()
        for x, y in ((141, 0), (1000, 0), (0, 151), (-5, 0), (0, -5)):  # level 1 is 140×150
            assert (Slide(path).reader.read(1, x, y, 5, 5) == 255).all()


def test_tiles_of_zero_bytes_are_white(tmp_path: Path) -> None:
    dark = np.zeros((256, 256, 3), np.uint8)
    path = write_sparse_pyramid(
        tmp_path / "sparse.tif",
        (1024, 1024),
        downsamples=(1, 2),
        tile_at=lambda level, col, row: dark if (level, col, row) == (0, 1, 1) else None,
    )
    assert_equal_to_openslide(path)
    pixels = Slide(path).reader.read(0, 0, 0, 1024, 1024)
    assert (pixels[256:512, 256:512] == 0).all()
    assert pixels.astype(int).sum() == 255 * 3 * (1024**2 - 256**2)


def test_missing_tiles_above_an_aperios_level_0_are_openslides(tmp_path: Path) -> None:
    dark = np.zeros((256, 256, 3), np.uint8)
    for missing, reader in ((0, "jpeg-tiff"), (1, "openslide")):
        path = write_sparse_pyramid(
            tmp_path / f"{missing}.svs",
            (1024, 1024),
            downsamples=(1, 2),
            tile_at=lambda level, col, row, m=missing: None if level == m and col else dark,
            description=APERIO,
        )
        slide = Slide(path)
        assert (slide.vendor, slide.reader.name) == ("aperio", reader)
    # OpenSlide fills the hole of level 1 from level 0, which is dark.
    assert slide.reader.read(1, 300, 0, 100, 100).max() == 0


@pytest.mark.parametrize("compression", ["adobe_deflate", "lzw"])
def test_other_compressions_are_openslides(tmp_path: Path, compression: str) -> None:
    image = position_image(601, 487)
    slide = Slide(write_pyramid(tmp_path / "slide.tif", image, compression=compression))
    assert slide.reader.name == "openslide"
    assert np.array_equal(slide.reader.read(0, 0, 0, 601, 487), image)
    half = cv2.resize(image, slide.level_sizes[1], interpolation=cv2.INTER_AREA)
    assert slide.level_sizes[1] == (300, 244)
    # Level 1's downsample is a mean of 601 / 300 and 487 / 244: a pixel is hit to 0.1 px.
    part = slide.reader.read(1, 16, 16, 200, 200).astype(int)
    assert np.abs(part - half[16:216, 16:216]).max() <= 8


def test_openslide_levels_of_integer_downsample_are_hit_exactly(tmp_path: Path) -> None:
    image = position_image(600, 480)
    path = write_pyramid(tmp_path / "s.tif", image, compression="lzw", downsamples=(1, 2, 2.5, 4))
    slide = Slide(path)
    for level, size in enumerate(slide.level_sizes):
        expected = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        pixels = slide.reader.read(level, 3, 5, size[0] - 3, size[1] - 5)
        assert np.array_equal(pixels, expected[5:, 3:]), level


def test_transparent_is_white(tmp_path: Path) -> None:
    slide = Slide(write_bounds_slide(tmp_path / "bounds.scn"))
    assert (slide.vendor, slide.reader.name) == ("leica", "openslide")
    assert (slide.reader.read(0, 0, 0, 256, 768) == 255).all()
    scanned = slide.reader.read(0, 256, 128, 512, 384)
    assert np.abs(scanned.astype(int) - position_image(1024, 768)[128:512, 256:768]).max() <= 8
    rgba = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 100, 255, 51]]], np.uint8)
    assert over_white(rgba).tolist() == [[[255] * 3, [10, 20, 30], [204, 224, 255]]]


@pytest.mark.parametrize("description", [None, APERIO])
def test_a_damaged_tile_is_named_and_the_rest_is_read(
    tmp_path: Path, description: str | None
) -> None:
    path = write_pyramid(tmp_path / "s.svs", position_image(700, 600), description=description)
    damage_tile(path, 0, 1, 0)
    reader = Slide(path).reader
    with pytest.raises(ReadError, match=r"s\.svs: tile column 1, row 0 of level 0"):
        reader.read(0, 200, 0, 100, 100)
    assert reader.read(0, 0, 300, 100, 100).shape == (100, 100, 3)


def test_a_file_cut_short_is_a_read_error(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "s.tif", position_image(700, 600), downsamples=(1,))
    slide = Slide(path)
    assert slide.reader.name == "jpeg-tiff"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 100)
    with pytest.raises(ReadError, match="column 2, row 2"):
        slide.reader.read(0, 690, 590, 10, 10)


def test_openslides_handle_is_opened_anew_after_an_error(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "s.tif", position_image(700, 600), compression="adobe_deflate")
    damage_tile(path, 0, 1, 0)
    slide = Slide(path)
    assert slide.reader.name == "openslide"
    for _ in range(2):
        with pytest.raises(ReadError, match="column 1, row 0"):
            slide.reader.read(0, 200, 0, 100, 100)
        assert np.array_equal(slide.reader.read(0, 0, 300, 90, 90), position_image(90, 390)[300:])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_flat_images_open(tmp_path: Path, suffix: str) -> None:
    image, path = position_image(130, 70), tmp_path / f"image{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, image, photometric="rgb", compression="lzw")
    else:
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
    slide = Slide(path, mpp=0.5)
    assert (slide.vendor, slide.reader.name, slide.size_l0) == ("image", "image", (130, 70))
    pixels = slide.reader.read(0, 0, 0, 130, 70).astype(int)
    assert np.abs(pixels - image).mean() <= (4 if suffix == ".jpg" else 0)
    assert (slide.reader.read(0, 120, 0, 30, 5)[:, 10:] == 255).all()


def test_grey_and_transparent_images_become_rgb(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    pixels = Slide(tmp_path / "grey.png", mpp=1).reader.read(0, 0, 0, 4, 3)
    assert np.array_equal(pixels, np.repeat(grey[..., None], 3, axis=-1))
    cv2.imwrite(str(tmp_path / "clear.png"), np.full((2, 2, 4), (1, 2, 3, 0), np.uint8))
    assert (Slide(tmp_path / "clear.png", mpp=1).reader.read(0, 0, 0, 2, 2) == 255).all()


def test_what_is_no_8_bit_rgb_image_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), np.zeros((4, 4), np.uint16))
    with pytest.raises(SlideError, match=r"deep\.png: .*uint16"):
        Slide(tmp_path / "deep.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(SlideError, match=r"text\.png: cannot be opened"):
        Slide(tmp_path / "text.png")
    (tmp_path / "header.tif").write_bytes(b"II*\0" + bytes(3))
    with pytest.raises(SlideError, match=r"header\.tif: cannot be opened"):
        Slide(tmp_path / "header.tif")
