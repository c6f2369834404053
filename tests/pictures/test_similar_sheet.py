"""The sheet of what was found, and the tables beside it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np

from histocnn.patches.one_place import OnePlace
from histocnn.patches.patches import open_files
from histocnn.pictures.similar_sheet import PER_LINE, draw_found, listed_found, write_found
from histocnn.reference.archive import Nearest
from histocnn.reference.features import load
from histocnn.slides.slide import Slide
from tests.feature_files import write_features
from tests.grid_files import write_grid


def test_the_query_is_in_front_and_lines_break(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, "s1", patient_id="p1")
    archive = load([write_features(tmp_path / "f" / "s1.h5", like=grid)])
    sources = open_files(archive.files)
    nearest = Nearest(np.arange(PER_LINE + 1), np.linspace(0, 1, PER_LINE + 1, dtype="f4"), 9)
    found = listed_found(archive, sources, nearest, show_ids=False)
    assert [one.label for one in found[:4]] == ["", "a", "b", ""]
    assert {one.patient_id for one in found} == {""}
    assert listed_found(archive, sources, nearest, show_ids=True)[0].patient_id == "p1"
    query = OnePlace(Slide(tmp_path / "slides" / "s1.tiff"), (300, 200), 28, 1.0, slide_id="s1")
    draw_found(tmp_path / "a.png", query, found, (archive, sources))
    sheet = cv2.imread(str(tmp_path / "a.png"))[..., ::-1]
    side = sheet.shape[1] // (PER_LINE + 1)
    assert sheet.shape[0] > 2 * side
    first = sheet[20 : side - 20, 20 : side - 20].reshape(-1, 3).mean(0)
    np.testing.assert_allclose(first, query.patch(0).reshape(-1, 3).mean(0), atol=20)
    below = sheet[sheet.shape[0] // 2 : -60, :side]  # under the query there is nothing
    assert (below > 250).mean() > 0.95
    write_found(tmp_path / "a.csv", tmp_path / "a.json", found, {"slide_id": "s1"})
    with (tmp_path / "a.csv").open(newline="") as lines:
        assert len(list(csv.DictReader(lines))) == PER_LINE + 1
    assert json.loads((tmp_path / "a.json").read_text())["found"][1]["label"] == "a"
