"""XML for ASAP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import shapely
from shapely.geometry.base import BaseGeometry

from histocnn.exports.foci import boxes_on_slide, foci
from histocnn.pictures.palette import Colours, class_colours
from histocnn.scores.scored import ScoredSlide, most_likely
from histocnn.storage.atomic import replacing


def write_asap(
    slide: ScoredSlide,
    path: Path,
    *,
    classes: list[int],
    threshold: float | None = None,
    chosen: Colours | None = None,
) -> None:
    """Write ASAP's XML: patches as squares by their most likely class, or foci from a threshold on.

    ASAP knows no holes, so a focus with holes is cut into pieces that have none. Level-0 pixels of
    the whole slide: ASAP does not crop. Classes have the `chosen` colours, others the palette's.
    """
    root = ET.Element("ASAP_Annotations")
    annotations = ET.SubElement(root, "Annotations")
    groups = ET.SubElement(root, "AnnotationGroups")
    labels, boxes = most_likely(slide.scores), boxes_on_slide(slide)
    colours = class_colours(slide.class_names, chosen).tolist()
    for index in classes:
        name, colour = slide.class_names[index], "#{:02x}{:02x}{:02x}".format(*colours[index])
        group = {"Name": name, "PartOfGroup": "None", "Color": colour}
        ET.SubElement(ET.SubElement(groups, "Group", group), "Attributes")
        polygons: list[BaseGeometry]
        if threshold is None:
            polygons = list(shapely.box(*boxes[labels == index].T))
        else:
            areas = foci(slide, index, threshold)
            polygons = [piece for focus in areas for piece in _without_holes(focus.polygon)]
        for polygon in polygons:
            _asap_polygon(annotations, f"{name} {len(annotations)}", name, colour, polygon)
    ET.indent(root)
    with replacing(path) as temporary:
        ET.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


def _without_holes(geometry: BaseGeometry) -> Iterator[BaseGeometry]:
    """Pieces without holes that cover the same area: cut through the first hole until none is."""
    for polygon in shapely.get_parts(geometry):
        if not shapely.get_num_interior_rings(polygon):
            yield polygon
            continue
        left, top, right, bottom = polygon.bounds
        hole = shapely.get_interior_ring(polygon, 0).bounds
        middle = (hole[0] + hole[2]) / 2
        for sides in ((left, middle), (middle, right)):
            half = shapely.clip_by_rect(polygon, sides[0], top, sides[1], bottom)
            yield from _without_holes(half)


def _asap_polygon(
    parent: ET.Element, name: str, group: str, colour: str, polygon: BaseGeometry
) -> None:
    facts = {"Name": name, "Type": "Polygon", "PartOfGroup": group, "Color": colour}
    corners = ET.SubElement(ET.SubElement(parent, "Annotation", facts), "Coordinates")
    for order, (x, y) in enumerate(shapely.get_coordinates(polygon)[:-1].tolist()):
        place = {"Order": str(order), "X": f"{x:.2f}", "Y": f"{y:.2f}"}
        ET.SubElement(corners, "Coordinate", place)
