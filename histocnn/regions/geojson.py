"""GeoJSON as QuPath reads and writes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import shapely
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from histocnn.errors import UsageError
from histocnn.storage.atomic import write_text

Frame: TypeAlias = Literal["bounds", "slide"]
Bounds: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True)
class Feature:
    """One annotation for QuPath.

    Args:
        geometry: Shapely geometry in level-0 pixels of the slide.
        class_name: QuPath's classification; None leaves it unclassified.
        name: What QuPath lists it as.
        measurements: Numbers that QuPath shows beside it.
        colour: RGB of the class, 0 to 255.
    """

    geometry: BaseGeometry
    class_name: str | None = None
    name: str | None = None
    measurements: Mapping[str, float] = field(default_factory=dict)
    colour: tuple[int, int, int] | None = None


def origin_l0(bounds_l0: Bounds | None, frame: Frame) -> tuple[int, int]:
    """Level-0 point that is (0, 0) in a QuPath project.

    QuPath crops slides that have `openslide.bounds-*` to these, unless it was told not to
    (`frame="slide"`).

    Raises:
        UsageError: `frame` is neither "bounds" nor "slide".
    """
    if frame not in ("bounds", "slide"):
        raise UsageError(f"frame {frame!r} is not known", "Use 'bounds' or 'slide'.")
    return (0, 0) if bounds_l0 is None or frame == "slide" else bounds_l0[:2]


def write_geojson(
    path: Path,
    features: Iterable[Feature],
    *,
    bounds_l0: Bounds | None,
    frame: Frame = "bounds",
) -> None:
    """Write features as a QuPath FeatureCollection, whole or not at all.

    Args:
        path: The file to write.
        features: What to write, in level-0 pixels; empty geometries are left out.
        bounds_l0: The slide's (x, y, w, h) where it has `openslide.bounds-*`; coordinates are
            written relative to it, and the file says so under `histocnn_frame`.
        frame: "slide" for QuPath projects made without cropping.

    Raises:
        StoreError: The file cannot be written.
    """
    x, y = origin_l0(bounds_l0, frame)
    collection = {
        "type": "FeatureCollection",
        "histocnn_frame": {"origin_l0": [x, y], "frame": "bounds" if (x, y) != (0, 0) else "slide"},
        "features": [
            _to_json(feature, x, y) for feature in features if not feature.geometry.is_empty
        ],
    }
    write_text(path, json.dumps(collection))


def _to_json(feature: Feature, x: float, y: float) -> dict[str, Any]:
    properties: dict[str, Any] = {"objectType": "annotation"}
    if feature.name is not None:
        properties["name"] = feature.name
    if feature.class_name is not None:
        properties["classification"] = {"name": feature.class_name}
        if feature.colour is not None:
            properties["classification"]["color"] = list(feature.colour)
    if feature.measurements:
        properties["measurements"] = dict(feature.measurements)
    moved = translate(feature.geometry, -x, -y) if (x, y) != (0, 0) else feature.geometry
    geometry = shapely.geometry.mapping(moved)
    return {"type": "Feature", "geometry": geometry, "properties": properties}
