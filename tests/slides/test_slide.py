"""Slide: metadata, resolution, errors, and reading from processes and threads."""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.errors import ReadError, ResolutionError, SlideError, UsageError
from histocnn.slides.slide import Slide
from tests.slide_files import (
    position_image,
    write_bounds_slide,
    write_pyramid,
)

APERIO = "Aperio Image Library v1\r\n600x500|AppMag = 20|MPP = 0.499"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slides")
    image = position_image(1001, 777)
    write_pyramid(folder / "jpeg.tif", image, mpp=(0.5, 0.6))
    write_pyramid(folder / "lzw.tif", image, compression="lzw")
    write_pyramid(folder / "none.tif", image, mpp=None)
    write_pyramid(folder / "aperio.svs", image, description=APERIO)
    cv2.imwrite(str(folder / "flat.png"), image[..., ::-1])
    return folder


def test_metadata(folder: Path) -> None:
    slide = Slide(folder / "jpeg.tif")
    assert slide.size_l0 == (1001, 777)
    assert slide.level_sizes == ((1001, 777), (500, 388), (250, 194))
    assert slide.mpp == slide.file_mpp == slide.require_mpp() == (0.5, pytest.approx(0.6))
    assert (slide.vendor, slide.reader.name) == ("generic-tiff", "jpeg-tiff")
    assert slide.objective_power is None
    assert slide.bounds_l0 is None
    assert slide.properties["openslide.level-count"] == "3"


def test_aperio_metadata(folder: Path) -> None:
    slide = Slide(str(folder / "aperio.svs"))
    assert (slide.vendor, slide.objective_power, slide.mpp) == ("aperio", 20.0, (0.499, 0.499))


def test_bounds(tmp_path: Path) -> None:
    slide = Slide(write_bounds_slide(tmp_path / "b.scn"))
    assert slide.bounds_l0 == (256, 128, 512, 384)
    assert slide.size_l0 == (1024, 768)


def test_given_resolution_wins(folder: Path) -> None:
    slide = Slide(folder / "jpeg.tif", mpp=0.25)
    assert (slide.mpp, slide.file_mpp) == ((0.25, 0.25), (0.5, pytest.approx(0.6)))
    assert Slide(folder / "jpeg.tif", mpp=(0.25, 0.3)).require_mpp() == (0.25, 0.3)


@pytest.mark.parametrize("name", ["none.tif", "flat.png"])
def test_no_resolution_is_refused_with_the_remedy(folder: Path, name: str) -> None:
    slide = Slide(folder / name)
    assert slide.mpp is None
    with pytest.raises(ResolutionError, match=r"names no resolution\..*slides.csv.*--slide_mpp"):
        slide.read((0, 0), 10, 0.5)
    assert Slide(folder / name, mpp=0.5).read((0, 0), 10, 0.5).shape == (10, 10, 3)


@pytest.mark.parametrize("mpp", [0.0, math.nan, -0.5, 0.049, 50.1, 352.8, (0.5, 0.0)])
def test_implausible_resolution_is_refused(folder: Path, mpp: float) -> None:
    slide = Slide(folder / "jpeg.tif", mpp=mpp)
    with pytest.raises(ResolutionError, match=r"no scanner has \(0\.05 to 50\).*--slide_mpp"):
        slide.require_mpp()


@pytest.mark.parametrize("mpp", [0.05, 50.0])
def test_extreme_resolution_is_believed(folder: Path, mpp: float) -> None:
    assert Slide(folder / "jpeg.tif", mpp=mpp).require_mpp() == (mpp, mpp)


def test_real_slides(shared: Path) -> None:
    slides = shared / "data" / "slides"
    with pytest.raises(ResolutionError, match="names no resolution"):
        Slide(slides / "TCGA-CR-7395-no-mpp-jp2k.svs").require_mpp()
    with pytest.raises(ResolutionError, match=r"352\.778 × 352\.778 µm/px"):
        Slide(slides / "boxes.tiff").require_mpp()
    dicom = Slide(slides / "camelyon-jpeg.dcm")
    assert (dicom.vendor, dicom.mpp) == ("dicom", (28.969, 28.968))
    assert dicom.read((500, 300), 64, 28.97).mean() < 250
    for name in ("broken.svs", "unopenable.tiff"):
        with pytest.raises(SlideError, match=f"{name}: cannot be opened"):
            Slide(slides / name)
    with pytest.raises(ReadError, match=r"unreadable\.svs: tile column 0, row 0"):
        Slide(slides / "unreadable.svs").read((0, 0), 16, 0.5)


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=r"nowhere\.svs: there is no such file"):
        Slide(tmp_path / "nowhere.svs")
    with pytest.raises(SlideError, match="is a folder"):
        Slide(tmp_path)


def test_read_at_level_0_is_a_copy(folder: Path) -> None:
    slide = Slide(folder / "lzw.tif")
    image = position_image(1001, 777)
    assert np.array_equal(slide.read((30, 20), (50, 40), 0.5), image[20:60, 30:80])
    corner = slide.read((990, 770), 20, 0.5)
    assert np.array_equal(corner[:7, :11], image[770:, 990:])
    assert (corner[7:] == 255).all()
    assert (corner[:, 11:] == 255).all()


@pytest.mark.parametrize("size_px", [0, -3, (10, 0)])
def test_an_empty_patch_is_refused(folder: Path, size_px: int) -> None:
    with pytest.raises(UsageError, match="at least one pixel"):
        Slide(folder / "jpeg.tif").read((0, 0), size_px, 0.5)


def test_fingerprint_is_of_the_content(folder: Path, tmp_path: Path) -> None:
    data = (folder / "jpeg.tif").read_bytes()
    copy = tmp_path / "other name.tif"
    copy.write_bytes(data)
    fingerprint = Slide(folder / "jpeg.tif").fingerprint
    assert fingerprint == Slide(copy, mpp=1).fingerprint
    last = data[max(0, len(data) - 2**20) :]
    expected = hashlib.sha256(data[: 2**20] + last).hexdigest()
    assert fingerprint == f"{len(data)}-{expected}"
    copy.write_bytes(data + b"\0")
    assert Slide(copy).fingerprint != fingerprint


# What is read in another process or thread must be what is read here.


def read_some(slide: Slide) -> bytes:
    return b"".join(slide.read((x, 40), 100, 0.7).tobytes() for x in range(0, 800, 200))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_reads_in_other_processes(folder: Path, method: str) -> None:
    slides = [Slide(folder / name, mpp=0.5) for name in ("jpeg.tif", "lzw.tif", "flat.png")]
    here = [read_some(slide) for slide in slides]  # handles are open when the fork comes
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(read_some, slides * 4)) == here * 4
    assert [read_some(slide) for slide in slides] == here


_inherited: Slide | None = None


def read_inherited(_: int) -> bytes:
    assert _inherited is not None
    return read_some(_inherited)


@pytest.mark.parametrize("name", ["jpeg.tif", "lzw.tif", "flat.png"])
def test_reads_through_handles_opened_before_a_fork(folder: Path, name: str) -> None:
    global _inherited
    _inherited = Slide(folder / name, mpp=0.5)
    here = read_some(_inherited)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert set(pool.map(read_inherited, range(4))) == {here}
    assert read_some(_inherited) == here


@pytest.mark.parametrize("name", ["jpeg.tif", "lzw.tif", "flat.png"])
def test_reads_in_several_threads(folder: Path, name: str) -> None:
    slide = Slide(folder / name, mpp=0.5)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(read_some, [slide] * 12)) == {read_some(slide)}


def test_pickles_as_path_and_resolution(folder: Path) -> None:
    slide = Slide(folder / "none.tif", mpp=(0.4, 0.5))
    slide.read((0, 0), 10, 0.5)
    data = pickle.dumps(slide)
    assert len(data) < 500
    again = pickle.loads(data)  # noqa: S301 - our own
    assert (again.path, again.mpp) == (slide.path, slide.mpp)


# Thumbnails


@pytest.mark.parametrize("name", ["jpeg.tif", "lzw.tif", "flat.png"])
def test_thumbnail_is_the_whole_slide(folder: Path, name: str) -> None:
    slide = Slide(folder / name, mpp=0.5)
    image = position_image(1001, 777).astype(float)
    for mpp in (0.5, 0.7, 1.3, 3.1):
        w, h = round(1001 * 0.5 / mpp), round(777 * 0.5 / mpp)
        thumbnail = slide.thumbnail(mpp=mpp)
        assert thumbnail.shape == (h, w, 3)
        expected = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
        assert np.abs(thumbnail - expected).mean() < 3, mpp
    assert slide.thumbnail(max_px=100).shape == (78, 100, 3)
    assert slide.thumbnail(max_px=5000).shape == (777, 1001, 3)


def test_thumbnail_wants_one_size(folder: Path) -> None:
    with pytest.raises(ValueError, match="either"):
        Slide(folder / "jpeg.tif").thumbnail()


def test_a_slide_that_is_gone_before_its_fingerprint_is_said(tmp_path: Path) -> None:
    slide = Slide(write_pyramid(tmp_path / "gone.tiff", position_image(64, 64)))
    slide.path.unlink()
    with pytest.raises(SlideError, match=r"gone\.tiff: cannot be read \(No such file"):
        _ = slide.fingerprint


def test_a_slide_that_goes_before_its_tiles_are_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = Slide(write_pyramid(tmp_path / "gone.tiff", position_image(64, 64)))

    def gone(path: Path, flags: int) -> int:  # between looking at its tiles and opening it
        slide.path.unlink()
        return opened(path, flags)

    opened = os.open
    monkeypatch.setattr("histocnn.slides.jpeg_tiff_reader.os.open", gone)
    with pytest.raises(SlideError, match=r"gone\.tiff: cannot be read \(No such file"):
        _ = slide.reader


@pytest.mark.parametrize("how", ["truncated", "replaced", "gone"])
def test_a_slide_that_is_not_the_same_after_it_was_read_is_said(tmp_path: Path, how: str) -> None:
    slide = Slide(write_pyramid(tmp_path / "a.tiff", position_image(64, 64)))
    fingerprint = slide.fingerprint
    os.utime(slide.path)
    slide.check_same(fingerprint)
    if how == "gone":
        slide.path.unlink()
    elif how == "truncated":
        os.truncate(slide.path, slide.path.stat().st_size // 2)
    else:
        write_pyramid(slide.path, position_image(65, 64))
    with pytest.raises(SlideError, match=r"a\.tiff: (was changed while it was|cannot be) read"):
        slide.check_same(fingerprint)
