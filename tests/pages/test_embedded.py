from __future__ import annotations

import base64

import cv2
import numpy as np

from histocnn.pages.embedded import THUMBNAIL_PX, Picture, picture_file, svg, thumbnail


def pixels_of(picture: Picture) -> np.ndarray:
    data = picture.source.removeprefix("data:image/jpeg;base64,")
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)


def test_a_thumbnail_is_small_and_of_the_same_colour():
    red = np.zeros((448, 224, 3), np.uint8)
    red[..., 0] = 200
    picture = thumbnail(red, "slide", "0.9")
    found = pixels_of(picture)  # blue, green, red
    assert found.shape == (THUMBNAIL_PX, THUMBNAIL_PX // 2, 3)
    assert np.abs(found.astype(int) - [0, 0, 200]).max() <= 3
    assert picture.caption == ("slide", "0.9")


def test_what_is_small_already_stays_as_it_is():
    assert pixels_of(thumbnail(np.zeros((20, 30, 3), np.uint8))).shape == (20, 30, 3)


def test_a_file_that_is_no_picture_is_none(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("nonsense")
    assert picture_file(path) is None
    cv2.imwrite(str(path), np.full((10, 10, 3), (200, 0, 0), np.uint8))
    assert np.abs(pixels_of(picture_file(path)).astype(int) - [200, 0, 0]).max() <= 3


def test_a_drawing_is_carried_as_it_is(tmp_path):
    path = tmp_path / "a.svg"
    path.write_text("<svg/>")
    assert svg(path, "what").source == "data:image/svg+xml;base64,PHN2Zy8+"
