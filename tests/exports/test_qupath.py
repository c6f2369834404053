"""QuPath's GeoJSON: a detection per patch, an annotation per focus, in QuPath's frame."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from histocnn.exports.qupath import write_detections, write_foci
from tests.exports.scored_slide import scored_slide

SCORES = [0.9, 0.1, 0.7, 0.2, float("nan"), 0.1]
BOUNDS = (100, 50, 460, 350)


def test_a_detection_says_where_what_and_how_sure(tmp_path: Path) -> None:
    slide = scored_slide(SCORES, novelty=[5, 99, 100, 0, 0, float("nan")])
    write_detections(slide, tmp_path / "a.geojson", classes=[1])
    first, last = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert first["geometry"]["coordinates"] == [[[0, 0], [200, 0], [200, 200], [0, 200], [0, 0]]]
    assert first["properties"] == {
        "objectType": "detection",
        "classification": {"name": "tumour", "color": [213, 94, 0]},
        "measurements": {"prob_normal": 0.1, "prob_tumour": 0.9, "novelty": 5.0},
    }
    assert last["geometry"]["coordinates"][0][2] == [560, 200]


@pytest.mark.parametrize(("frame", "corner"), [("bounds", [-100, -50]), ("slide", [0, 0])])
def test_qupath_counts_from_the_bounds_unless_it_was_told_not_to(
    tmp_path: Path, frame: str, corner: list[int]
) -> None:
    slide = scored_slide(SCORES, bounds_l0=BOUNDS)
    write_detections(slide, tmp_path / "a.geojson", classes=[0, 1], frame=frame)  # type: ignore[arg-type]
    written = json.loads((tmp_path / "a.geojson").read_text())
    assert len(written["features"]) == 5  # the unscored patch is no object
    assert written["features"][0]["geometry"]["coordinates"][0][0] == corner
    assert written["histocnn_frame"]["frame"] == frame


def test_nothing_to_write_is_still_a_collection(tmp_path: Path) -> None:
    slide = scored_slide([float("nan")] * 6)
    write_detections(slide, tmp_path / "a.geojson", classes=[0, 1])
    assert json.loads((tmp_path / "a.geojson").read_text())["features"] == []


def test_a_focus_is_an_annotation_with_its_figures(tmp_path: Path) -> None:
    write_foci(scored_slide(SCORES), tmp_path / "a.geojson", classes=[1], threshold=0.8)
    (focus,) = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert focus["properties"]["objectType"] == "annotation"
    assert focus["properties"]["classification"] == {"name": "tumour", "color": [213, 94, 0]}
    assert focus["properties"]["measurements"] == {
        "mean probability": 0.9,
        "highest probability": 0.9,
        "area mm2": 0.01,
    }
