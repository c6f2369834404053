"""Image files as pixels: kinds, sizes, order, and those that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.errors import PatchesError
from histocnn.patches.images import ImageFiles, RecordedImages, read_image, resize
from tests.patches.image_files import write_image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.full((4, 4), 90, np.uint8), [90, 90, 90]),
        (np.full((4, 4, 3), (3, 2, 1), np.uint8), [1, 2, 3]),
        (np.full((4, 4, 4), (30, 20, 10, 255), np.uint8), [10, 20, 30]),
        (np.full((4, 4, 4), (30, 20, 10, 0), np.uint8), [255, 255, 255]),
        (np.full((4, 4, 3), (3 * 257, 2 * 257, 257), np.uint16), [1, 2, 3]),
        (np.full((4, 4), 0xFF00, np.uint16), [255, 255, 255]),
    ],
    ids=["grey", "rgb", "opaque", "transparent", "16-bit", "16-bit grey"],
)
def test_kinds_of_image_become_rgb(tmp_path: Path, image: np.ndarray, expected: list[int]) -> None:
    for suffix in ("png", "tif"):
        path = tmp_path / f"a.{suffix}"
        cv2.imwrite(str(path), image)
        found = read_image(path)
        assert found.shape == (4, 4, 3)
        assert found.dtype == np.uint8
        assert found[1, 2].tolist() == expected


def test_float_images_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.tif"), np.zeros((4, 4, 3), np.float32))
    with pytest.raises(PatchesError, match="float32 pixels"):
        read_image(tmp_path / "a.tif")


def test_resize_keeps_one_scale_along_both_axes() -> None:
    image = np.zeros((4, 8, 3), np.uint8)
    half = resize(image, 4)
    assert (half[:2] == 0).all()
    assert (half[2:] == 255).all()


def test_a_larger_image_is_the_mean_of_its_pixels_and_a_smaller_one_is_interpolated() -> None:
    checks = np.zeros((4, 4, 3), np.uint8)
    checks[::2, ::2] = checks[1::2, 1::2] = 200
    assert (resize(checks, 2) == 100).all()
    assert resize(checks, 4) is checks
    assert resize(np.full((2, 2, 3), 7, np.uint8), 5).shape == (5, 5, 3)


def test_the_usual_size_is_that_of_most_and_nothing_readable_has_none(tmp_path: Path) -> None:
    for i, side in enumerate([32, 16, 16]):
        write_image(tmp_path / f"{i}.png", side=side)
    (tmp_path / "no.png").write_bytes(b"no image")
    names = ["no.png", "0.png", "1.png", "2.png"]
    assert ImageFiles(tmp_path, names).size() == (16, 16)
    assert ImageFiles(tmp_path, ["no.png", "gone.png"]).size() is None


def test_a_file_that_is_gone_is_white_marked_and_said(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    files = ImageFiles(tmp_path, ["a.png", "gone.png"])
    [batch] = files.batches(batch_size=8, threads=2, rows=[1, 0], size_px=None)
    assert batch.rows.tolist() == [1, 0]
    assert batch.readable.tolist() == [False, True]
    assert (batch.pixels[0] == 255).all()
    assert files.problems == [f"{tmp_path / 'gone.png'}: No such file or directory"]


def test_the_fingerprint_is_of_names_sizes_and_ends(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    one = ImageFiles(tmp_path, ["a.png"]).fingerprint()
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    assert ImageFiles(tmp_path, ["a.png"]).fingerprint() == one
    assert ImageFiles(tmp_path, ["b.png"]).fingerprint() != one
    assert ImageFiles(tmp_path, ["gone.png"]).fingerprint() != one


def recorded(root: Path, paths: list[str], fingerprint: str | None) -> RecordedImages:
    return RecordedImages(root, paths, file=Path("features.h5"), recorded=fingerprint)


@pytest.mark.parametrize("leads", ["", "../", "absolute", "link"])
def test_images_of_a_known_fingerprint_are_read_wherever_they_lie(
    tmp_path: Path, leads: str
) -> None:
    write_image(tmp_path / "set" / "a.png")
    write_image(tmp_path / "b.png")
    (tmp_path / "set" / "link.png").symlink_to(tmp_path / "b.png")
    ways = {"": "a.png", "../": "../b.png", "absolute": str(tmp_path / "b.png")}
    path = ways.get(leads, "link.png")
    fingerprint = ImageFiles(tmp_path / "set", [path]).fingerprint()
    images = recorded(tmp_path / "set", [path], fingerprint)
    assert images.read(0)[0, 0].tolist() == [200, 100, 50]
    [batch] = images.batches(4, 1, [0], None)
    assert batch.readable.all()


@pytest.mark.parametrize("fingerprint", [None, "", "ab" * 32, "stale"])
@pytest.mark.parametrize("path", ["a.png", "../private.png", "absolute"])
def test_what_a_stranger_names_without_knowing_it_is_not_read(
    tmp_path: Path, path: str, fingerprint: str | None
) -> None:
    write_image(tmp_path / "set" / "a.png")
    write_image(tmp_path / "private.png")
    path = str(tmp_path / "private.png") if path == "absolute" else path
    if fingerprint == "stale":
        fingerprint = ImageFiles(tmp_path / "set", [path]).fingerprint()
        write_image(tmp_path / "set" / path, side=9)
    images = recorded(tmp_path / "set", [path], fingerprint)
    with pytest.raises(PatchesError, match=r"features\.h5"):
        images.read(0)
    with pytest.raises(PatchesError, match=r"features\.h5"):
        list(images.batches(4, 1, [0], None))
    assert images.size() is None


def test_a_fifo_among_the_images_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    write_image(tmp_path / "b.png")
    images = recorded(tmp_path, ["a.png", "b.png"], "ab" * 32)
    with pytest.raises(PatchesError, match="are others"):
        images.read(1)
