"""Regions that somebody drew on a slide, by class, in level-0 pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import shapely
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from histocnn.errors import AnnotationError
from histocnn.regions.annotation_formats import Drawing, Region, read_drawing
from histocnn.regions.geojson import Bounds, Frame, origin_l0

EXCLUSION = "Exclusion"

# ASAP's groups in the CAMELYON challenges; None takes part in the painting and has no class.
ASAP_MAPPING: Mapping[str, str | None] = {"_0": "Tumor", "_1": "Tumor", "_2": None}
ASAP_PAINT_ORDER = ("_0", "_1", "Tumor", "metastases", "normal", "_2")

_MIN_SHARE_SAID = 1e-4  # of the drawn area; rounded coordinates of regions at the edge stay below
_MAX_SHARE_OUTSIDE = 0.1  # of the drawn area; hands slip over the edge, other frames go far beyond


@dataclass(frozen=True)
class Annotations:
    """Annotated regions of one slide.

    Args:
        classes: Class name to valid polygonal geometry in level-0 pixels, ordered by name.
        exclusion: What patches may not touch; empty if nothing.
        notes: What was repaired, skipped or assumed, one sentence each.
    """

    classes: Mapping[str, BaseGeometry]
    exclusion: BaseGeometry
    notes: tuple[str, ...] = ()

    def region(self, class_name: str) -> BaseGeometry:
        """The area of one class.

        Raises:
            AnnotationError: Nothing of that class is drawn.
        """
        if class_name not in self.classes:
            raise AnnotationError(
                f"no region of class {class_name!r} is annotated",
                f"There is: {', '.join(self.classes) or 'nothing'}.",
            )
        return self.classes[class_name]

    def everything(self) -> BaseGeometry:
        """The area of all classes together."""
        return shapely.union_all(list(self.classes.values()))


def read_annotations(
    path: str | Path,
    slide_size_l0: tuple[int, int],
    bounds_l0: Bounds | None = None,
    *,
    frame: Frame = "bounds",
    mapping: Mapping[str, str | None] | None = None,
    paint_order: Sequence[str] | None = None,
) -> Annotations:
    """Read ASAP or ImageScope XML or QuPath GeoJSON, told apart by content.

    Args:
        path: The file.
        slide_size_l0: Width and height of level 0 in pixels.
        bounds_l0: The slide's (x, y, w, h) where it has `openslide.bounds-*`.
        frame: GeoJSON only: "bounds" adds the bounds' origin, as QuPath takes it away; "slide"
            does not.
        mapping: The file's class or group to our class; "Exclusion" is what patches may not
            touch, None is no class. Names that are not in it stay. Added to `ASAP_MAPPING` for
            ASAP.
        paint_order: The file's groups in the order of painting: each is cut out of those before
            it. Groups that are not in it may overlap. `ASAP_PAINT_ORDER` for ASAP, else nothing.

    Raises:
        AnnotationError: The file is missing, malformed, or does not lie on the slide.
        UsageError: `frame` is not known.

    >>> drawn = read_annotations("demo/cohort/annotations/phantom_01.geojson", (1024, 1024))
    >>> list(drawn.classes), drawn.exclusion.is_empty
    (['tumour'], True)
    """
    drawing = read_drawing(Path(path))
    asap = drawing.format == "asap"
    notes = _notes(drawing)
    if drawing.format == "geojson":
        x, y = origin_l0(bounds_l0, frame)
        if (x, y) != (0, 0):
            moved = [
                Region(each.group, translate(each.area, x, y), each.label)
                for each in drawing.regions
            ]
            drawing.regions = moved
            notes.append(f"coordinates taken as relative to the slide's bounds at ({x}, {y})")
    groups = _groups(drawing)
    notes += _fit(drawing, groups, slide_size_l0)
    names = {**(ASAP_MAPPING if asap else {}), **(mapping or {})}
    order = paint_order if paint_order is not None else ASAP_PAINT_ORDER if asap else ()
    _paint(groups, order)

    areas: dict[str, list[BaseGeometry]] = {}
    for group, area in groups.items():
        name = names.get(group, group)
        if name is not None and not area.is_empty:
            areas.setdefault(name, []).append(area)
    classes = {name: shapely.union_all(parts) for name, parts in sorted(areas.items())}
    exclusion = classes.pop(EXCLUSION, shapely.Polygon())
    return Annotations(classes, exclusion, tuple(notes))


def _notes(drawing: Drawing) -> list[str]:
    skipped = [
        f"{count} {kind}{'s' if count > 1 and not kind.endswith('s') else ''} skipped"
        for kind, count in sorted(drawing.skipped.items())
    ]
    repaired = [f"{label} crosses itself and was repaired" for label in drawing.repaired]
    return skipped + repaired


def _groups(drawing: Drawing) -> dict[str, BaseGeometry]:
    parts: dict[str, list[BaseGeometry]] = {}
    for region in drawing.regions:
        parts.setdefault(region.group, []).append(region.area)
    return {group: shapely.union_all(areas) for group, areas in parts.items()}


def _fit(drawing: Drawing, groups: dict[str, BaseGeometry], size_l0: tuple[int, int]) -> list[str]:
    """Cut what runs over the slide's edge; refuse what cannot belong to this slide."""
    slide = shapely.box(0, 0, *size_l0)
    strangers = [each for each in drawing.regions if each.area.disjoint(slide)]
    drawn = sum(area.area for area in groups.values())
    inside = sum(area.intersection(slide).area for area in groups.values())
    if strangers or inside < (1 - _MAX_SHARE_OUTSIDE) * drawn:
        outside = (
            f"{len(strangers)} of {len(drawing.regions)} polygons lie outside the slide"
            if strangers
            else f"{1 - inside / drawn:.0%} of the annotated area lies outside the slide"
        )
        frames = " or --frame" if drawing.format == "geojson" else ""
        raise drawing.error(
            f"{outside} ({size_l0[0]} × {size_l0[1]} px): another slide, scale or frame",
            f"Check annotation_path{frames}, and that coordinates are level-0 pixels.",
        )
    for group, area in groups.items():
        groups[group] = area.intersection(slide)
    if inside >= (1 - _MIN_SHARE_SAID) * drawn:
        return []
    return [f"{1 - inside / drawn:.2%} of the annotated area lay beyond the slide and was cut off"]


def _paint(groups: dict[str, BaseGeometry], order: Sequence[str]) -> None:
    painted = [group for group in order if group in groups]
    for later, group in enumerate(painted):
        for earlier in painted[:later]:
            groups[earlier] = groups[earlier].difference(groups[group])
