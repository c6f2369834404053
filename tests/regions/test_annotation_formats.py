"""Files of annotations as they are: which format, which groups, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from histocnn.errors import AnnotationError
from histocnn.regions.annotation_formats import read_drawing
from tests.regions.test_annotations import asap, feature, imagescope, qupath, region, square


def test_the_content_tells_the_format_whatever_the_name(tmp_path: Path) -> None:
    ring = square(0, 0, 10)
    path = tmp_path / "drawn.txt"
    assert read_drawing(qupath(path, feature([ring]))).format == "geojson"
    assert read_drawing(asap(path, ("Tumor", ring))).format == "asap"
    assert read_drawing(imagescope(path, ("Tumor", [region(ring)]))).format == "imagescope"


def test_regions_keep_the_files_words_and_order(tmp_path: Path) -> None:
    path = asap(tmp_path / "a.xml", ("_2", square(0, 0, 10)), ("_0", square(5, 5, 20)))
    drawing = read_drawing(path)
    assert [(each.group, each.area.area, each.label) for each in drawing.regions] == [
        ("_2", 100, "'A0'"),
        ("_0", 400, "'A1'"),
    ]
    assert (dict(drawing.skipped), drawing.repaired) == ({}, [])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("<ASAP_Annotations>\n<Annotations>\n</ASAP_Annotations>", "line 3, column 3"),
        ("", "neither XML nor JSON"),
        ("X,Y\n1,2\n", "neither XML nor JSON"),
        ("<svg/>", "<svg>"),
        ('<?xml version="1.0" encoding="klingon"?><Annotations/>', "encoding"),
        ('{"type": "FeatureCollection",\n"features": [\n}', "line 3, column 1"),
        ('{"type": "Topology"}', "not a FeatureCollection"),
        ('{"type": "FeatureCollection", "features": 3}', "not a FeatureCollection"),
        ("[" * 100_000, "not valid JSON"),
        (json.dumps({"type": "Feature", "geometry": 3}), "no GeoJSON object"),
        (json.dumps(feature([[["a", 0], [1, 1], [2, 2]]])), "no numbers"),
        (json.dumps(feature([[[0, float("nan")], [1, 1], [2, 2]]])), "not finite"),
        (json.dumps(feature([[1, 2, 3]])), "no numbers"),
        (json.dumps(feature(7)), "no coordinates"),
    ],
)
def test_malformed_files_are_named_with_the_place(tmp_path: Path, content: str, found: str) -> None:
    path = tmp_path / "bad"
    path.write_text(content)
    with pytest.raises(AnnotationError) as error:
        read_drawing(path)
    assert found in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "bad.geojson"
    path.write_bytes(b'{"type": "\xff\xfe\xfa"}')
    with pytest.raises(AnnotationError, match="not valid JSON"):
        read_drawing(path)
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_drawing(tmp_path / "missing.xml")


def test_coordinates_in_xml_that_are_no_numbers(tmp_path: Path) -> None:
    path = asap(tmp_path / "a.xml", ("Tumor", [["12,5", 3], [4, 4], [5, 6]]))  # type: ignore[list-item]
    with pytest.raises(AnnotationError, match=r"'A0' has a coordinate.*12,5"):
        read_drawing(path)


def test_xml_entities_are_refused_before_they_expand(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(9))
    path = tmp_path / "laughs.xml"
    path.write_text(
        f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "ha">{laughs}]>'
        "<ASAP_Annotations>&l9;</ASAP_Annotations>"
    )
    with pytest.raises(AnnotationError, match="entities"):
        read_drawing(path)
    path.write_text(
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Annotations>&x;</Annotations>'
    )
    with pytest.raises(AnnotationError, match="entities"):
        read_drawing(path)
