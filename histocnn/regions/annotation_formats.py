"""Files of annotations as they are: ASAP and ImageScope XML, QuPath GeoJSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias
from xml.etree.ElementTree import Element, ParseError  # types only; parsing is defusedxml's

import numpy as np
import shapely
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from shapely.affinity import scale
from shapely.geometry.base import BaseGeometry

from histocnn.errors import AnnotationError
from histocnn.regions.crossings import count_crossings

Rings: TypeAlias = Sequence[Sequence[Sequence[float]]]

MOST_CROSSINGS = 50_000  # of a file's outlines with themselves; repaired in seconds, hands make few
FARTHEST_L0 = 2**40  # level-0 px
_IMAGESCOPE_SKIPPED = {"3": "arrow", "4": "ruler"}


@dataclass(frozen=True)
class Region:
    """One drawn region: the file's word for its class, its area, and what to call it in errors."""

    group: str
    area: BaseGeometry
    label: str


@dataclass
class Drawing:
    """What a file of annotations holds, before classes are made of it.

    Args:
        path: The file.
        format: Whose it is; GeoJSON is in QuPath's frame, the others in level-0 pixels.
        regions: The regions in the file's order, every area valid.
        skipped: How many objects of which kind are no areas.
        repaired: Labels of the polygons that crossed themselves.
        crossings: How often they did, all together.
    """

    path: Path
    format: Literal["asap", "geojson", "imagescope"]
    regions: list[Region] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    repaired: list[str] = field(default_factory=list)
    crossings: int = 0

    def polygon(self, rings: Rings, label: str) -> BaseGeometry:
        """A valid area from an outer ring and its holes; empty for fewer than three points.

        Raises:
            AnnotationError: The coordinates are not finite numbers.
        """
        try:
            points = [np.asarray(ring, np.float64)[:, :2] for ring in rings if len(ring) >= 3]
        except (TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise self.error(f"{label} has coordinates that are no numbers") from error
        if not all(np.isfinite(ring).all() for ring in points):
            raise self.error(f"{label} has coordinates that are not finite")
        if any(np.abs(ring).max(initial=0) > FARTHEST_L0 for ring in points):
            raise self.error(f"{label} has coordinates that no slide has")
        if not points or len(rings[0]) < 3:
            self.skipped["shape of fewer than three points"] += 1
            return shapely.Polygon()
        drawn = shapely.Polygon(points[0], points[1:])
        if drawn.is_valid:
            return drawn
        self.crossings += count_crossings(points, MOST_CROSSINGS - self.crossings)
        if self.crossings > MOST_CROSSINGS:
            raise self.error(
                f"{label} crosses itself so often (more than {MOST_CROSSINGS:,} times, with what "
                "comes before it) that no area can be made of it",
                "Draw its outline again.",
            )
        self.repaired.append(label)
        # "structure" keeps both halves of a figure eight and drops what has no area.
        return shapely.make_valid(drawn, method="structure", keep_collapsed=False)

    def add(self, group: str, area: BaseGeometry, label: str) -> None:
        """Keep an area under its group; without one it is skipped and counted."""
        group = "".join(sign if sign.isprintable() else "\ufffd" for sign in group)
        if not group:
            self.skipped["shape without a class"] += 1
        elif not area.is_empty:
            self.regions.append(Region(group, area, label))

    def error(self, fault: str, remedy: str = "Export the annotations again.") -> AnnotationError:
        """Make an error that names this file."""
        return AnnotationError(f"{self.path}: {fault}", remedy)


def read_drawing(path: Path) -> Drawing:
    """Read a file of annotations; its format is told by its content.

    Raises:
        AnnotationError: The file is missing, malformed (the line is named), declares XML entities,
            or is of no known format.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AnnotationError(
            f"{path}: cannot be read ({error.strerror})", "Give an existing annotation file."
        ) from error
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start == b"<":
        return _read_xml(path, content)
    if start in (b"{", b"["):
        return _read_geojson(path, content)
    raise AnnotationError(
        f"{path}: is neither XML nor JSON", "Give ASAP XML, ImageScope XML or QuPath GeoJSON."
    )


def _read_xml(path: Path, content: bytes) -> Drawing:
    try:
        root = fromstring(content)
    except ParseError as error:
        line, column = error.position
        raise AnnotationError(
            f"{path}: line {line}, column {column + 1} is not well-formed XML",
            "Export the annotations again.",
        ) from error
    except DefusedXmlException as error:
        raise AnnotationError(
            f"{path}: declares XML entities, which can expand without end, and is not read",
            "Remove its DOCTYPE.",
        ) from error
    except (ValueError, LookupError) as error:  # an encoding that does not exist or does not hold
        raise AnnotationError(
            f"{path}: is not text in the encoding it declares", "Export the annotations again."
        ) from error
    if root.tag == "ASAP_Annotations":
        return _read_asap(Drawing(path, "asap"), root)
    if root.tag == "Annotations":
        return _read_imagescope(Drawing(path, "imagescope"), root)
    raise AnnotationError(
        f"{path}: root element <{root.tag}> is of no known annotation format",
        "Give ASAP XML (<ASAP_Annotations>) or ImageScope XML (<Annotations>).",
    )


def _read_asap(drawing: Drawing, root: Element) -> Drawing:
    for annotation in root.iterfind("Annotations/Annotation"):
        kind = annotation.get("Type", "")
        if kind not in ("Polygon", "Rectangle", "Spline"):
            drawing.skipped[kind.lower() or "shape of unknown type"] += 1
            continue
        group = annotation.get("PartOfGroup", "None")
        label = repr(annotation.get("Name", "annotation without a name"))
        points = _points(drawing, annotation.iterfind("Coordinates/Coordinate"), label)
        drawing.add("" if group == "None" else group, drawing.polygon([points], label), label)
    return drawing


def _read_imagescope(drawing: Drawing, root: Element) -> Drawing:
    for layer in root.iterfind("Annotation"):
        drawn: list[tuple[str, BaseGeometry, str]] = []
        holes: list[BaseGeometry] = []
        for region in layer.iterfind("Regions/Region"):
            kind = region.get("Type", "0")
            if kind not in ("0", "1", "2"):
                drawing.skipped[_IMAGESCOPE_SKIPPED.get(kind, "shape of unknown type")] += 1
                continue
            label = f"region {region.get('Id', '?')} of layer {layer.get('Id', '?')}"
            points = _points(drawing, region.iterfind("Vertices/Vertex"), label)
            area = drawing.polygon([_corners(points, kind)], label)
            if kind == "2":
                area = _ellipse(area)
            if region.get("NegativeROA") == "1":
                holes.append(area)
            else:
                group = (layer.get("Name") or region.get("Text") or "").strip()
                drawn.append((group, area, label))
        cut = shapely.union_all(holes)
        for group, area, label in drawn:
            drawing.add(group, area.difference(cut), label)
    return drawing


def _points(drawing: Drawing, elements: Iterator[Element], label: str) -> list[tuple[float, float]]:
    try:
        return [(float(each.attrib["X"]), float(each.attrib["Y"])) for each in elements]
    except (KeyError, ValueError) as error:
        raise drawing.error(f"{label} has a coordinate that is no number ({error})") from error


def _corners(points: list[tuple[float, float]], kind: str) -> list[tuple[float, float]]:
    """Corners of the box that bounds a rectangle or ellipse stored as two points."""
    if kind == "0" or len(points) < 2 or (kind == "1" and len(points) > 2):
        return points
    (left, right), (top, bottom) = ((min(axis), max(axis)) for axis in zip(*points, strict=True))
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _ellipse(box: BaseGeometry) -> BaseGeometry:
    """The ellipse in a box, as a polygon of 128 sides (its area is 0.04 % too small)."""
    if box.is_empty:
        return box
    left, top, right, bottom = box.bounds
    centre = shapely.Point((left + right) / 2, (top + bottom) / 2)
    return scale(centre.buffer(1, quad_segs=32), (right - left) / 2, (bottom - top) / 2)


def _read_geojson(path: Path, content: bytes) -> Drawing:
    drawing = Drawing(path, "geojson")
    try:
        root = json.loads(content)
    except json.JSONDecodeError as error:
        raise drawing.error(
            f"line {error.lineno}, column {error.colno} is not valid JSON ({error.msg})"
        ) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, a number of 5,000 digits, too deep
        raise drawing.error("is not valid JSON") from error
    features = list(_features(drawing, root))
    kinds = [_object_type(feature) for feature in features]
    # Beside annotations detections are what QuPath computed (cells, nuclei) and no ground truth;
    # alone they are patches that somebody scored.
    wanted = "annotation" if "annotation" in kinds else "detection"
    for number, (feature, kind) in enumerate(zip(features, kinds, strict=True), start=1):
        if kind != wanted:
            drawing.skipped[kind] += 1
            continue
        label = f"feature {number}"
        group = _class_name(_properties(feature).get("classification"))
        for geometry in _flat(drawing, feature.get("geometry"), label):
            _add_geometry(drawing, geometry, group, label)
    return drawing


def _features(drawing: Drawing, root: Any) -> Iterator[dict[str, Any]]:
    if isinstance(root, dict):
        root = root.get("features") if root.get("type") == "FeatureCollection" else [root]
    for feature in root if isinstance(root, list) else [None]:
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            raise drawing.error(
                "is JSON, but not a FeatureCollection", "Export as GeoJSON from QuPath."
            )
        yield feature


def _properties(feature: dict[str, Any]) -> dict[str, Any]:
    properties = feature.get("properties")
    return properties if isinstance(properties, dict) else {}


def _object_type(feature: dict[str, Any]) -> str:
    properties = _properties(feature)
    return str(properties.get("objectType", properties.get("object_type", "annotation")))


def _class_name(classification: Any) -> str:
    if isinstance(classification, dict):
        # QuPath writes derived classes ("Tumor: Positive") as a list.
        names = classification.get("names")
        joined = ": ".join(map(str, names)) if isinstance(names, list) else ""
        return str(classification.get("name") or joined)
    return classification if isinstance(classification, str) else ""


def _flat(drawing: Drawing, geometry: Any, label: str) -> Iterator[dict[str, Any]]:
    if geometry is None:
        drawing.skipped["feature without a geometry"] += 1
    elif not isinstance(geometry, dict):
        raise drawing.error(f"{label} has a geometry that is no GeoJSON object")
    elif geometry.get("type") == "GeometryCollection":
        parts = geometry.get("geometries")
        for part in parts if isinstance(parts, list) else []:
            yield from _flat(drawing, part, label)
    else:
        yield geometry


def _add_geometry(drawing: Drawing, geometry: dict[str, Any], group: str, label: str) -> None:
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon"):
        drawing.skipped[str(kind).removeprefix("Multi").lower()] += 1
        return
    polygons = coordinates if kind == "MultiPolygon" else [coordinates]
    if not isinstance(polygons, list) or not all(isinstance(rings, list) for rings in polygons):
        raise drawing.error(f"{label} has no coordinates")
    areas = [drawing.polygon(rings, label) for rings in polygons if rings]
    drawing.add(group, shapely.union_all(areas), label)
