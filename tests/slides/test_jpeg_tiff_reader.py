"""The fast path's pixels are OpenSlide's, and what it must not take."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile

from histocnn.errors import ReadError
from histocnn.slides.jpeg_tiff_reader import JpegTiffReader, jpeg_tiff_reader
from histocnn.slides.readers import over_white
from histocnn.slides.slide import Slide
from tests.slide_files import position_image, write_pyramid, write_sparse_pyramid

APERIO = "Aperio Image Library v1\r\n600x500|AppMag = 20|MPP = 0.5"


REAL = [
    "CMU-1-Small-Region.svs",
    "CRC01-west.tiff",
    "CRC01-middle.tiff",
    "TCGA-XK-AAJU-prostate-pen-marks.tiff",
    "TCGA-CR-7395-no-mpp-jp2k.svs",
]


WRITTEN = {
    "YCbCr": {},
    "chroma at half": {"subsampling": (2, 2), "quality": 80},
    "RGB": {"photometric": "rgb"},
    "Aperio RGB": {"photometric": "rgb", "description": APERIO},
    "240 px tiles": {"tile_px": 240, "subsampling": (2, 1)},
    "odd downsamples": {"downsamples": (1, 3, 5)},
    "Aperio JPEG 2000": {"compression": "aperio_jp2000_rgb", "description": APERIO},
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


def test_all_tiles_of_a_jpeg_2000_level_are_openslides(shared: Path, tmp_path: Path) -> None:
    """Of downsample 2.0005, where OpenSlide interpolates: so a copy has it as its level 0."""
    path = shared / "data" / "slides" / "TCGA-CR-7395-no-mpp-jp2k.svs"
    with tifffile.TiffFile(path) as tiff:
        first = tiff.pages[2].offset
    data = bytearray(path.read_bytes())
    data[4:8] = first.to_bytes(4, "little")
    copy = tmp_path / "level 1.svs"
    copy.write_bytes(data)
    w, h = Slide(path).level_sizes[1]
    with openslide.OpenSlide(copy) as other:
        assert other.level_dimensions == ((w, h),)
        theirs = over_white(np.asarray(other.read_region((0, 0), 0, (w, h))))
    assert np.array_equal(Slide(path).reader.read(1, 0, 0, w, h), theirs)


def test_a_jpeg_2000_tile_cut_short_or_overwritten_is_a_read_error(tmp_path: Path) -> None:
    path = write_pyramid(
        tmp_path / "s.svs", position_image(600, 500), **WRITTEN["Aperio JPEG 2000"]
    )
    with tifffile.TiffFile(path) as tiff:
        offsets, counts = tiff.pages[0].dataoffsets, tiff.pages[0].databytecounts
    with path.open("r+b") as file:
        file.seek(offsets[4])
        file.write(bytes(counts[4]))
    reader = Slide(path).reader
    out = np.empty((256, 256, 3), np.uint8)
    whole = reader.tile(0, 0, 0, out)
    assert whole is out
    assert not reader.is_damaged(0, 0, 0, whole)
    with pytest.raises(ReadError, match="column 1, row 1"):
        reader.tile(0, 1, 1, out)
    with path.open("r+b") as file:
        file.truncate(offsets[5] + counts[5] // 2)
    with pytest.raises(ReadError, match="column 2, row 1"):
        reader.tile(0, 2, 1, out)


def test_jpeg_2000_that_was_not_compared_is_left_to_openslide(tmp_path: Path) -> None:
    kinds = {"aperio_jp2000_ycbc": "ycbcr", "jpeg2000": "rgb"}
    for compression, photometric in kinds.items():
        path = write_pyramid(
            tmp_path / f"{compression}.svs",
            position_image(300, 200),
            downsamples=(1,),
            compression=compression,
            photometric=photometric,
            description=APERIO,
        )
        assert jpeg_tiff_reader(path, "aperio", ((300, 200),)) is None


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


@pytest.mark.parametrize("kind", ["YCbCr", "Aperio RGB", "Aperio JPEG 2000"])
def test_levels_of_uneven_downsample_are_never_interpolated(tmp_path: Path, kind: str) -> None:
    """The geometry contract for every compression; OpenSlide's values differ there."""
    options = WRITTEN[kind] | {"downsamples": (1, 2.5)}
    path = write_pyramid(tmp_path / "slide.tif", position_image(601, 487), **options)
    with tifffile.TiffFile(path) as tiff, openslide.OpenSlide(path) as other:
        own, downsample = tiff.pages[1].asarray(), other.level_downsamples[1]
        theirs = np.asarray(other.read_region((round(7 * downsample), 0), 1, (200, 195)))
    slide = Slide(path)
    assert slide.reader.name == "jpeg-tiff"
    assert np.array_equal(slide.reader.read(1, 0, 0, 240, 195), own)
    assert not np.array_equal(theirs[..., :3], own[:, 7:207])


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


def test_a_file_cut_short_is_a_read_error(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "s.tif", position_image(700, 600), downsamples=(1,))
    slide = Slide(path)
    assert slide.reader.name == "jpeg-tiff"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 100)
    with pytest.raises(ReadError, match="column 2, row 2"):
        slide.reader.read(0, 690, 590, 10, 10)


def test_it_is_taken_only_where_the_levels_are_those_of_the_file(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "s.tif", position_image(600, 400), downsamples=(1, 2))
    sizes = ((600, 400), (300, 200))
    assert isinstance(jpeg_tiff_reader(path, "generic-tiff", sizes), JpegTiffReader)
    assert jpeg_tiff_reader(path, "generic-tiff", ((600, 400), (301, 200))) is None
    assert jpeg_tiff_reader(path, "hamamatsu", sizes) is None
