"""GeoJSON for QuPath: its frame, its words, and files that are whole or not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import shapely

from histocnn.errors import StoreError, UsageError
from histocnn.regions.geojson import Feature, origin_l0, write_geojson


def test_qupaths_origin_is_the_corner_of_the_bounds_where_it_crops() -> None:
    assert origin_l0((100, 200, 500, 400), "bounds") == (100, 200)
    assert origin_l0((100, 200, 500, 400), "slide") == (0, 0)
    assert origin_l0(None, "bounds") == (0, 0)
    with pytest.raises(UsageError, match="'level0' is not known"):
        origin_l0(None, "level0")  # type: ignore[arg-type]


def test_a_plain_feature_has_a_geometry_and_says_what_it_is(tmp_path: Path) -> None:
    features = [Feature(shapely.box(10, 20, 30, 50)), Feature(shapely.Polygon(), "Nothing")]
    write_geojson(tmp_path / "a.geojson", features, bounds_l0=(10, 10, 90, 90))
    assert json.loads((tmp_path / "a.geojson").read_text()) == {
        "type": "FeatureCollection",
        "histocnn_frame": {"origin_l0": [10, 10], "frame": "bounds"},
        "features": [
            {
                "type": "Feature",
                "properties": {"objectType": "annotation"},
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [[[20, 10], [20, 40], [0, 40], [0, 10], [20, 10]]],
                },
            }
        ],
    }


def test_a_geojson_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        write_geojson(tmp_path / "file" / "a.geojson", [], bounds_l0=None)
