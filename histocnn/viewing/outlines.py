"""Lines over a slide: its tissue and what somebody drew, as rings of level-0 points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from histocnn.patches.truth import TruthRule, recorded_rule
from histocnn.pictures.overlay import tissue_share
from histocnn.pictures.palette import class_colours
from histocnn.regions.tissue import detect_tissue
from histocnn.regions.tissue_file import load_tissue
from histocnn.slides.slide import Slide
from histocnn.viewing.opened import Opened

TISSUE = (0, 90, 60)
_ROUGH_L0 = 0.5  # level-0 px that a line may be simplified by: less than is seen
_SHARE_PX = 1000  # longest side of the picture of how much is tissue


def tissue(opened: Opened) -> list[dict[str, Any]]:
    """The outline of the tissue: that which tile wrote or slides.csv names, else detected.

    Returns:
        Rings as `rings` gives them.

    Raises:
        AnnotationError: The file is malformed or does not fit the slide.
        ResolutionError: The slide's µm/px is unknown, so no tissue can be detected.
    """
    slide, entry = opened.slide, opened.listed.entry
    beside = (file.file.with_name(f"{file.file.stem}.tissue.geojson") for file in _files(opened))
    path = next((path for path in beside if path.is_file()), None)
    path = (entry.tissue_path if entry else None) or path
    if path is None:
        # One without a scale is shown as if it had one.
        mask = detect_tissue(slide if opened.frame.known else Slide(slide.path))
    else:
        mask = load_tissue(path, slide, frame=rule_of(opened).frame)
    return [{"name": "tissue", "colour": list(TISSUE), "rings": rings(mask.polygons())}]


def drawn(opened: Opened) -> list[dict[str, Any]]:
    """What slides.csv says was drawn on the slide, by class, as its truth is read.

    Raises:
        AnnotationError: The file is malformed or does not fit the slide.
    """
    entry, slide = opened.listed.entry, opened.slide
    if entry is None or entry.annotation_path is None:
        return []
    drawn = rule_of(opened).read(entry.annotation_path, slide.size_l0, slide.bounds_l0).classes
    names = class_names(opened, drawn)
    named = dict(zip(names, class_colours(names).tolist(), strict=True))
    return [
        {"name": name, "colour": named[name], "rings": rings(area)} for name, area in drawn.items()
    ]


def class_names(opened: Opened, drawn: Mapping[str, BaseGeometry]) -> Sequence[str]:
    """The classes of scores first, so that a class has one colour everywhere, then others."""
    scored = [n for n in opened.files if opened.has_scores(n)]
    names = opened.scored(scored[0]).class_names if scored else ()
    return list(dict.fromkeys([*names, *drawn]))


def rule_of(opened: Opened) -> TruthRule:
    """How the slide's truth is read, as any of its files says."""
    for file in _files(opened):
        rule = recorded_rule(file.attributes, file.file)
        if rule is not None:
            return rule
    return TruthRule()


def _files(opened: Opened) -> Sequence[Any]:
    return list(opened.files.values())


def rings(area: BaseGeometry) -> list[list[float]]:
    """Rings as x, y, x, y …, level-0 px to a tenth.

    >>> rings(shapely.box(0, 0, 10, 5))
    [[10.0, 0.0, 10.0, 5.0, 0.0, 5.0, 0.0, 0.0, 10.0, 0.0]]
    """
    plain = shapely.simplify(area, _ROUGH_L0)
    found = shapely.get_rings(shapely.get_parts(plain))
    return [np.round(shapely.get_coordinates(ring), 1).ravel().tolist() for ring in found]


def tissue_picture(thumbnail: NDArray[np.uint8]) -> bytes:
    """How much of each pixel of a thumbnail is tissue, as the alpha of a PNG.

    Args:
        thumbnail: The whole of level 0, uint8 [h, w, 3].
    """
    picture = np.zeros((*thumbnail.shape[:2], 4), np.uint8)
    picture[..., 3] = tissue_share(thumbnail)
    return bytes(cv2.imencode(".png", picture)[1].tobytes())


def share_of_tissue(opened: Opened) -> bytes:
    """The picture of `tissue_picture` of a slide.

    Raises:
        ReadError: Nothing of the slide can be decoded.
    """
    return tissue_picture(opened.slide.thumbnail(max_px=_SHARE_PX))
