"""Annotation files: what they mean, and what is refused with which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely

from histocnn.errors import AnnotationError, UsageError
from histocnn.regions.annotations import read_annotations
from histocnn.regions.geojson import Feature, write_geojson

SIZE = (1000, 800)


def square(left: float, top: float, side: float) -> list[list[float]]:
    right, bottom = left + side, top + side
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def qupath(path: Path, *features: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def feature(
    rings: Any, name: str | None = "Tumor", kind: str = "Polygon", **properties: Any
) -> dict[str, Any]:
    if name is not None:
        properties["classification"] = {"name": name, "color": [200, 0, 0]}
    properties.setdefault("objectType", "annotation")
    geometry = {"type": kind, "coordinates": rings}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def asap(path: Path, *shapes: tuple[str, list[list[float]]], kind: str = "Polygon") -> Path:
    drawn = "".join(
        f'<Annotation Name="A{i}" Type="{kind}" PartOfGroup="{group}"><Coordinates>'
        + "".join(f'<Coordinate Order="{n}" X="{x}" Y="{y}"/>' for n, (x, y) in enumerate(points))
        + "</Coordinates></Annotation>"
        for i, (group, points) in enumerate(shapes)
    )
    path.write_text(f"<ASAP_Annotations><Annotations>{drawn}</Annotations></ASAP_Annotations>")
    return path


def region(points: list[list[float]], kind: int = 0, negative: int = 0, text: str = "") -> str:
    vertices = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in points)
    return (
        f'<Region Id="1" Type="{kind}" NegativeROA="{negative}" Text="{text}">'
        f"<Vertices>{vertices}</Vertices></Region>"
    )


def imagescope(path: Path, *layers: tuple[str, list[str]]) -> Path:
    drawn = "".join(
        f'<Annotation Id="{i}" Name="{name}"><Regions>{"".join(regions)}</Regions></Annotation>'
        for i, (name, regions) in enumerate(layers)
    )
    path.write_text(f'<Annotations MicronsPerPixel="0.5">{drawn}</Annotations>')
    return path


# --- QuPath


def test_geojson_keeps_holes_and_joins_a_class(tmp_path: Path) -> None:
    ring = [square(100, 100, 100), square(125, 125, 50)]
    two = [[square(300, 300, 10)], [square(400, 400, 20)]]
    path = qupath(
        tmp_path / "a.geojson",
        feature(ring),
        feature(two, kind="MultiPolygon"),
        feature([square(500, 100, 10)], "Normal"),
    )
    read = read_annotations(path, SIZE)
    assert list(read.classes) == ["Normal", "Tumor"]
    assert read.classes["Tumor"].area == 10_000 - 2_500 + 100 + 400
    assert read.classes["Normal"].bounds == (500, 100, 510, 110)
    assert read.exclusion.is_empty
    assert read.notes == ()
    assert read.everything().area == 8_100
    assert read.region("Normal").area == 100
    with pytest.raises(AnnotationError, match=r"'Fat'.*Normal, Tumor"):
        read.region("Fat")


def test_geojson_as_older_and_newer_qupath_write_it(tmp_path: Path) -> None:
    older = feature([square(0, 0, 10)], None, object_type="annotation", classification="Stroma")
    del older["properties"]["objectType"]
    derived = feature([square(20, 0, 10)], None, classification={"names": ["Tumor", "Positive"]})
    collection = {
        "type": "Feature",
        "geometry": {
            "type": "GeometryCollection",
            "geometries": [
                {"type": "Polygon", "coordinates": [square(40, 0, 10)]},
                {"type": "Point", "coordinates": [45, 5]},
            ],
        },
        "properties": {"classification": {"name": "Fat"}},
    }
    path = tmp_path / "list.json"
    path.write_text("\ufeff" + json.dumps([older, derived, collection]), encoding="utf-8")
    read = read_annotations(path, SIZE)
    assert {name: area.area for name, area in read.classes.items()} == {
        "Fat": 100,
        "Stroma": 100,
        "Tumor: Positive": 100,
    }
    assert read.notes == ("1 point skipped",)


def test_what_is_no_area_is_skipped_and_counted(tmp_path: Path) -> None:
    path = qupath(
        tmp_path / "a.geojson",
        feature([square(0, 0, 10)]),
        feature([5, 5], kind="Point"),
        feature([[5, 5], [6, 6]], kind="MultiPoint"),
        feature([[5, 5], [6, 6]], kind="LineString"),
        feature([square(0, 0, 10)], None),
        feature([square(0, 0, 10)], objectType="detection"),
        feature([[[0, 0], [1, 1]]]),
        {"type": "Feature", "geometry": None, "properties": None},
    )
    read = read_annotations(path, SIZE)
    assert read.classes["Tumor"].area == 100
    assert read.notes == (
        "1 detection skipped",
        "1 feature without a geometry skipped",
        "1 linestring skipped",
        "2 points skipped",
        "1 shape of fewer than three points skipped",
        "1 shape without a class skipped",
    )


def test_qupaths_frame_is_level_0_less_the_bounds(tmp_path: Path) -> None:
    path = qupath(tmp_path / "a.geojson", feature([square(10, 20, 30)]))
    bounds = (100, 200, 500, 500)
    read = read_annotations(path, SIZE, bounds)
    assert read.classes["Tumor"].bounds == (110, 220, 140, 250)
    assert read.notes == ("coordinates taken as relative to the slide's bounds at (100, 200)",)
    whole = read_annotations(path, SIZE, bounds, frame="slide")
    assert whole.classes["Tumor"].bounds == (10, 20, 40, 50)
    assert whole.notes == ()
    with pytest.raises(UsageError, match="'level0'"):
        read_annotations(path, SIZE, bounds, frame="level0")  # type: ignore[arg-type]


@pytest.mark.parametrize("frame", ["bounds", "slide"])
def test_what_is_written_for_qupath_is_read_back(tmp_path: Path, frame: Any) -> None:
    ring = shapely.Polygon(square(300, 300, 100), [square(325, 325, 50)])
    path = tmp_path / "out.geojson"
    write_geojson(
        path,
        [
            Feature(ring, "Tumor", name="lesion 1", measurements={"score": 0.5}, colour=(1, 2, 3)),
            Feature(shapely.Polygon(), "Nothing"),
        ],
        bounds_l0=(100, 200, 500, 500),
        frame=frame,
    )
    read = read_annotations(path, SIZE, (100, 200, 500, 500), frame=frame)
    assert list(read.classes) == ["Tumor"]
    assert read.classes["Tumor"].equals(ring)
    stored = json.loads(path.read_text())
    origin = [100, 200] if frame == "bounds" else [0, 0]
    assert stored["histocnn_frame"] == {"origin_l0": origin, "frame": frame}
    assert stored["features"][0]["properties"] == {
        "objectType": "annotation",
        "name": "lesion 1",
        "classification": {"name": "Tumor", "color": [1, 2, 3]},
        "measurements": {"score": 0.5},
    }
    assert stored["features"][0]["geometry"]["coordinates"][0][0][0] in (
        300 - origin[0],
        400 - origin[0],
    )


# --- ASAP


def test_camelyon16_cuts_group_2_out_of_the_tumour(tmp_path: Path) -> None:
    path = asap(
        tmp_path / "a.xml",
        ("_2", square(110, 110, 20)),
        ("_0", square(100, 100, 100)),
        ("_1", square(300, 100, 10)),
        ("Tumor", square(400, 100, 10)),
    )
    read = read_annotations(path, SIZE)
    assert list(read.classes) == ["Tumor"]
    assert read.classes["Tumor"].area == 10_000 - 400 + 100 + 100


def test_camelyon17_paints_normal_over_metastases(tmp_path: Path) -> None:
    path = asap(
        tmp_path / "a.xml",
        ("normal", square(150, 150, 100)),
        ("metastases", square(100, 100, 100)),
        ("Exclusion", square(600, 600, 50)),
    )
    read = read_annotations(path, SIZE)
    assert read.classes["metastases"].area == 7_500
    assert read.classes["normal"].area == 10_000
    assert read.exclusion.bounds == (600, 600, 650, 650)


def test_mapping_and_paint_order_are_the_users(tmp_path: Path) -> None:
    path = asap(
        tmp_path / "a.xml",
        ("metastases", square(0, 0, 100)),
        ("normal", square(0, 0, 50)),
        ("artefact", square(500, 500, 10)),
        ("scribble", square(600, 600, 10)),
    )
    read = read_annotations(
        path,
        SIZE,
        mapping={"metastases": "Tumor", "artefact": "Exclusion", "scribble": None},
        paint_order=("normal", "metastases"),
    )
    assert {name: area.area for name, area in read.classes.items()} == {"Tumor": 10_000}
    assert read.exclusion.area == 100


def test_asap_groups_that_nobody_ordered_may_overlap(tmp_path: Path) -> None:
    path = asap(tmp_path / "a.xml", ("A", square(0, 0, 10)), ("B", square(5, 0, 10)))
    read = read_annotations(path, SIZE)
    assert [area.area for area in read.classes.values()] == [100, 100]


def test_asap_shapes_that_are_no_area_or_of_no_group(tmp_path: Path) -> None:
    assert read_annotations(
        asap(tmp_path / "a.xml", ("Tumor", [[1, 1]]), ("Tumor", [[2, 2]]), kind="Dot"), SIZE
    ).notes == ("2 dots skipped",)
    assert read_annotations(asap(tmp_path / "b.xml", ("None", square(0, 0, 9))), SIZE).notes == (
        "1 shape without a class skipped",
    )


# --- ImageScope


def test_imagescope_layers_holes_and_shapes(tmp_path: Path) -> None:
    path = imagescope(
        tmp_path / "a.xml",
        ("Tumor", [region(square(0, 0, 100)[:-1]), region(square(10, 10, 20), negative=1)]),
        ("", [region([[200, 0], [210, 20]], 1, text="Stroma")]),
        ("", [region([[300, 0], [400, 50]], 2, text="Round")]),
        ("Tumor", [region([[0, 0], [9, 9]], 3), region([[0, 0], [9, 9]], 4)]),
        ("", [region(square(500, 500, 9))]),
    )
    read = read_annotations(path, SIZE)
    assert read.classes["Tumor"].area == 10_000 - 400
    assert read.classes["Stroma"].bounds == (200, 0, 210, 20)
    # An ellipse of half axes 50 and 25: pi * 50 * 25 = 3926.99; 128 sides lose 0.04 %.
    assert read.classes["Round"].area == pytest.approx(3926.99, rel=5e-4)
    assert read.classes["Round"].bounds == pytest.approx((300, 0, 400, 50))
    assert read.notes == (
        "1 arrow skipped",
        "1 ruler skipped",
        "1 shape without a class skipped",
    )


def test_a_hole_is_cut_from_its_own_layer_only(tmp_path: Path) -> None:
    hole = region(square(0, 0, 50), negative=1)
    path = imagescope(
        tmp_path / "a.xml",
        ("A", [region(square(0, 0, 100)), hole]),
        ("B", [region(square(0, 0, 100))]),
    )
    read = read_annotations(path, SIZE)
    assert read.classes["A"].area == 7_500
    assert read.classes["B"].area == 10_000


# --- bad input


BOW_TIE = [[0, 0], [100, 100], [100, 0], [0, 100], [0, 0]]


def test_a_polygon_that_crosses_itself_is_repaired_and_said(tmp_path: Path) -> None:
    json_file = qupath(tmp_path / "a.geojson", feature([BOW_TIE]))
    xml_file = asap(tmp_path / "a.xml", ("Tumor", BOW_TIE[:-1]))
    for path, label in ((json_file, "feature 1"), (xml_file, "'A0'")):
        read = read_annotations(path, SIZE)
        assert read.classes["Tumor"].is_valid
        assert read.classes["Tumor"].area == 5_000  # two triangles of 100 × 50 / 2
        assert read.notes == (f"{label} crosses itself and was repaired",)


@pytest.mark.parametrize("side", [300, 50])
def test_polygons_of_another_scale_or_frame_are_refused(tmp_path: Path, side: float) -> None:
    outside = qupath(
        tmp_path / "a.geojson", feature([square(0, 0, 10)]), feature([square(2000, 900, side)])
    )
    with pytest.raises(AnnotationError, match=r"1 of 2 polygons lie outside.*1000 × 800") as error:
        read_annotations(outside, SIZE)
    assert "scale or frame" in error.value.message
    assert "--frame" in error.value.remedy
    half = qupath(tmp_path / "b.geojson", feature([square(950, 100, 100)]))
    with pytest.raises(AnnotationError, match="50% of the annotated area"):
        read_annotations(half, SIZE)
    xml = asap(tmp_path / "c.xml", ("Tumor", square(-50, -50, 40)))
    with pytest.raises(AnnotationError, match="1 of 1 polygons") as error:
        read_annotations(xml, SIZE)
    assert "--frame" not in error.value.remedy


def test_a_hand_that_slipped_over_the_edge_is_cut_off(tmp_path: Path) -> None:
    path = qupath(tmp_path / "a.geojson", feature([[[-5, 0], [95, 0], [95, 100], [-5, 100]]]))
    read = read_annotations(path, SIZE)
    assert read.classes["Tumor"].bounds == (0, 0, 95, 100)
    assert read.notes == ("5.00% of the annotated area lay beyond the slide and was cut off",)


def test_a_file_without_regions_is_a_slide_without_regions(tmp_path: Path) -> None:
    for path in (qupath(tmp_path / "a.geojson"), asap(tmp_path / "a.xml")):
        read = read_annotations(path, SIZE)
        assert dict(read.classes) == {}
        assert read.everything().is_empty


# --- real data


@pytest.mark.parametrize(("name", "size"), [("west", (5888, 14340)), ("middle", (4352, 14340))])
def test_the_same_regions_from_geojson_and_xml(
    shared: Path, name: str, size: tuple[int, int]
) -> None:
    stem = shared / "data" / "annotations" / f"CRC01-{name}"
    from_json = read_annotations(stem.with_suffix(".geojson"), size)
    from_xml = read_annotations(stem.with_suffix(".xml"), size)
    assert list(from_json.classes) == list(from_xml.classes) == ["Tumor"]
    assert from_json.notes == from_xml.notes == ()
    # XML has outer rings only: it covers all that GeoJSON covers, and the holes. Its
    # coordinates are rounded to a tenth of a pixel.
    drawn, filled = from_json.classes["Tumor"], from_xml.classes["Tumor"]
    holes = shapely.union_all(
        [shapely.Polygon(ring) for part in shapely.get_parts(drawn) for ring in part.interiors]
    )
    assert drawn.difference(filled.buffer(0.1)).is_empty
    assert filled.difference(shapely.union(drawn, holes).buffer(0.1)).is_empty
