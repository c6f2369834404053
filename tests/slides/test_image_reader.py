"""Flat images in a slide's place: kinds of image, channels, and what is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from histocnn.errors import SlideError
from histocnn.slides.image_reader import ImageReader
from histocnn.slides.slide import Slide
from tests.slide_files import position_image


def test_the_whole_image_is_one_tile_of_one_level(tmp_path: Path) -> None:
    image = position_image(13, 7)
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1])
    reader = ImageReader(tmp_path / "a.png")
    assert reader.level_sizes == reader.tile_sizes == ((13, 7),)
    assert np.array_equal(reader.tile(0, 0, 0), image)
    assert np.array_equal(reader.read(0, 2, 3, 4, 4), image[3:7, 2:6])


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
