"""Lines over a slide lie where its files and its pixels have them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import AnnotationError, ResolutionError
from histocnn.viewing.opened import Opened, open_listed
from histocnn.viewing.outlines import drawn as annotations
from histocnn.viewing.outlines import rings, tissue, tissue_picture
from histocnn.viewing.shelf import Listed
from tests.slide_files import write_pyramid
from tests.viewing.test_shelf import scores_of

DRAWN = [[[40, 20], [140, 20], [140, 90], [40, 90], [40, 20]]]


def a_blob(folder: Path) -> Path:
    """Pink tissue from (400, 200) to (1200, 900) on glass."""
    image = np.full((1200, 1600, 3), 243, np.uint8)
    noise = np.random.default_rng(0).integers(-25, 25, (700, 800, 3))
    image[200:900, 400:1200] = np.array([190, 90, 160]) + noise
    return write_pyramid(folder / "a.tiff", image)


def drawn(folder: Path, name: str, class_name: str) -> Path:
    geometry = {"type": "Polygon", "coordinates": DRAWN}
    properties = {"objectType": "annotation", "classification": {"name": class_name}}
    feature = {"type": "Feature", "geometry": geometry, "properties": properties}
    path = folder / name
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def opened(folder: Path, **known: Path) -> Opened:
    path = a_blob(folder)
    file = scores_of(folder / "scores" / "a.h5", path)
    return open_listed(Listed("a", {0: file}, SlideEntry("a", path, **known)))


def test_annotations_have_their_class_s_colour(tmp_path: Path) -> None:
    found = opened(tmp_path, annotation_path=drawn(tmp_path, "a.geojson", "tumour"))
    [tumour] = annotations(found)
    assert tumour["name"] == "tumour"
    assert tumour["colour"] == [213, 94, 0]  # as the scores' tumour, beside "normal"
    [ring] = tumour["rings"]
    assert shapely.Polygon(np.reshape(ring, (-1, 2))).equals(shapely.Polygon(DRAWN[0]))
    assert annotations(open_listed(Listed("a", found.listed.files))) == []


def test_without_a_scale_no_tissue_is_guessed(tmp_path: Path) -> None:
    bare = write_pyramid(tmp_path / "b.tiff", np.full((200, 300, 3), 190, np.uint8), mpp=None)
    found = open_listed(Listed("b", entry=SlideEntry("b", bare)))
    with pytest.raises(ResolutionError, match=r"b\.tiff: the file names no resolution"):
        tissue(found)


def test_a_broken_annotation_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text("{")
    with pytest.raises(AnnotationError, match=r"a\.geojson"):
        annotations(opened(tmp_path, annotation_path=tmp_path / "a.geojson"))


def test_tissue_is_what_tile_wrote_else_what_slides_csv_says_else_detected(tmp_path: Path) -> None:
    found = opened(tmp_path)
    [seen] = tissue(found)
    box = np.concatenate([np.reshape(ring, (-1, 2)) for ring in seen["rings"]])
    assert np.abs(box.min(axis=0) - (400, 200)).max() < 40  # detected at 8 µm/px
    assert np.abs(box.max(axis=0) - (1200, 900)).max() < 40
    drawn(tmp_path / "scores", "a.tissue.geojson", "Tissue")
    [written] = tissue(found)
    assert np.reshape(written["rings"][0], (-1, 2)).max() < 160
    edited = drawn(tmp_path, "edited.geojson", "Tissue")
    edited.write_text(edited.read_text().replace("140", "240"))
    [given] = tissue(
        open_listed(Listed("a", {}, SlideEntry("a", a_blob(tmp_path), tissue_path=edited)))
    )
    assert np.reshape(given["rings"][0], (-1, 2))[:, 0].max() > 200


def test_tissue_as_a_picture() -> None:
    thumbnail = np.full((100, 160, 3), 243, np.uint8)
    thumbnail[20:90, 40:120] = (190, 90, 160)
    picture = cv2.imdecode(np.frombuffer(tissue_picture(thumbnail), np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (100, 160, 4)
    assert picture[50, 80, 3] == 255
    assert picture[5, 5, 3] == 0


def test_rings_leave_out_what_nobody_sees() -> None:
    line = [(0, 0), (5, 0.1), (10, 0), (10, 10), (0, 10)]
    assert len(rings(shapely.Polygon(line))[0]) == 10
