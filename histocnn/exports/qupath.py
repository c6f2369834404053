"""GeoJSON for QuPath: one detection per patch, or one annotation per focus."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import shapely

from histocnn.exports.foci import boxes_on_slide, foci
from histocnn.pictures.palette import Colours, class_colours
from histocnn.regions.geojson import Feature, Frame, origin_l0, write_geojson
from histocnn.scores.scored import ScoredSlide, most_likely
from histocnn.scores.scorefile import ScoreFile
from histocnn.storage.atomic import replacing


def write_detections(
    slide: ScoredSlide,
    path: Path,
    *,
    classes: list[int],
    frame: Frame = "bounds",
    chosen: Colours | None = None,
) -> None:
    """Write one QuPath detection per scored patch, with its scores as measurements.

    Its class is the most likely one of all. Features are written one by one, so that a million
    patches need no memory.

    Args:
        slide: The scores.
        path: The file to write.
        classes: Numbers of the classes whose patches are written.
        frame: "bounds": relative to `openslide.bounds-*` where the slide has them, as QuPath
            shows such slides; "slide": relative to level 0.
        chosen: Colours of classes.
    """
    x, y = origin_l0(slide.bounds_l0, frame)
    head = {
        "type": "FeatureCollection",
        "histocnn_frame": {"origin_l0": [x, y], "frame": "bounds" if (x, y) != (0, 0) else "slide"},
    }
    colours = class_colours(slide.class_names, chosen).tolist()
    labels = most_likely(slide.scores)
    boxes = np.round(boxes_on_slide(slide) - (x, y, x, y), 2)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head)[:-1] + ', "features": [')
        separator = "\n"
        for row in np.flatnonzero(np.isin(labels, classes)).tolist():
            left, top, right, bottom = boxes[row].tolist()
            ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
            name = slide.class_names[labels[row]]
            feature = {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "properties": {
                    "objectType": "detection",
                    "classification": {"name": name, "color": colours[labels[row]]},
                    "measurements": _measurements(slide, row),
                },
            }
            file.write(separator + json.dumps(feature))
            separator = ",\n"
        file.write("\n]}\n")


def write_foci(
    slide: ScoredSlide,
    path: Path,
    *,
    classes: list[int],
    threshold: float,
    frame: Frame = "bounds",
    chosen: Colours | None = None,
) -> None:
    """Write one QuPath annotation per `Focus`; as `write_detections`."""
    colours = class_colours(slide.class_names, chosen).tolist()
    features = [
        Feature(
            focus.polygon,
            class_name=slide.class_names[index],
            measurements={
                "mean probability": round(focus.mean, 4),
                "highest probability": round(focus.highest, 4),
                "area mm2": round(focus.area_mm2, 6),
            },
            colour=(colours[index][0], colours[index][1], colours[index][2]),
        )
        for index in classes
        for focus in foci(slide, index, threshold)
    ]
    write_geojson(path, features, bounds_l0=slide.bounds_l0, frame=frame)


class PatchError(NamedTuple):
    """A patch that was called another class than its own: its row, both classes, the score."""

    row: int
    truth: str
    called: str
    confidence: float


def write_errors(path: Path, file: ScoreFile, errors: Sequence[PatchError]) -> None:
    """Write one QuPath annotation around each wrongly called patch, in their order.

    Its class is "TRUTH called CALLED", so that each kind can be shown, hidden or corrected at once.

    Raises:
        StoreError: As `ScoreFile.boxes_l0`, or the file cannot be written.
    """
    boxes = np.minimum(file.boxes_l0(), file.size_l0 * 2)
    colours = dict(zip(file.class_names, class_colours(file.class_names).tolist(), strict=True))
    features = [
        Feature(
            shapely.box(*boxes[error.row]),
            class_name=f"{error.truth} called {error.called}",
            name=f"error {number}",
            measurements={"confidence": round(error.confidence, 4)},
            colour=colours.get(error.called),
        )
        for number, error in enumerate(errors, start=1)
    ]
    write_geojson(path, features, bounds_l0=file.attributes.get("bounds_l0"))


def _measurements(slide: ScoredSlide, row: int) -> dict[str, float]:
    measured = {
        f"prob_{name}": round(score, 4)
        for name, score in zip(slide.class_names, slide.scores[row].tolist(), strict=True)
    }
    if slide.novelty is not None and np.isfinite(slide.novelty[row]):
        measured["novelty"] = round(float(slide.novelty[row]), 4)
    return measured
