"""The plot's lines, fills and pictures, as they are handed to Bokeh."""

from __future__ import annotations

import base64
from dataclasses import replace

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from histocnn.pages.viewer_scene import Scene, scene, tissue_url
from histocnn.pictures.heat import View
from tests.exports.scored_slide import scored_slide

PINK = np.full((400, 560, 3), (190, 110, 160), np.uint8)  # of 560 × 400 level-0 px
RING = shapely.Polygon(
    [(100, 100), (300, 100), (300, 300), (100, 300)],
    [[(150, 150), (250, 150), (250, 250), (150, 250)]],
)


def glyphs(shown: Scene, kind: str) -> list[object]:
    return [each for each in shown.plot.renderers if type(each.glyph).__name__ == kind]


def corners(renderer: object) -> NDArray[np.float64]:
    data = renderer.data_source.data  # type: ignore[attr-defined]
    return np.stack([data["x"], data["y"]], axis=1)


def test_annotations_are_outlines_with_their_holes_and_a_seam() -> None:
    view = View(scored_slide([0.0] * 6), PINK, annotations={"tumour": RING}, threshold=0.9)
    shown = scene(view, PINK)
    seam, line = glyphs(shown, "Line")
    assert seam.glyph.line_width > line.glyph.line_width  # type: ignore[attr-defined]
    drawn = corners(line)
    gaps = np.flatnonzero(np.isnan(drawn).all(axis=1))
    assert gaps.tolist() == [5, 11]
    assert shapely.Polygon(drawn[:5], [drawn[6:11]]).equals(RING)
    assert not glyphs(shown, "Patch")


def test_contours_are_those_of_their_class_and_out_of_sight_at_first() -> None:
    slide = scored_slide([0.9, 0.1, 0.1, 0.1, 0.1, 0.1])
    slide = replace(slide, points={"tumour": {"youden": 0.5, "specificity_95": 0.95}})
    shown = scene(View(slide, PINK, threshold=0.99), PINK)
    assert shown.contours["s0"] == []
    (line,) = shown.contours["s1"]
    assert not line.visible
    box = slide.grid.boxes_l0()[0]
    drawn = corners(line)
    assert np.nanmax(drawn, axis=0).tolist() == box[2:].tolist()
    # The patch's own left and upper side are the slide's.
    assert not (np.diff(drawn, axis=0)[(drawn == 0).any(axis=1)[:-1]] == 0).all(axis=1).any()


def filled(renderer: object) -> shapely.Geometry:
    """The area of a fill that has no holes."""
    drawn = corners(renderer)
    parts = np.split(drawn, np.flatnonzero(np.isnan(drawn[:, 0])))
    rings = [part[~np.isnan(part[:, 0])] for part in parts]
    return shapely.union_all([shapely.Polygon(ring) for ring in rings if len(ring)])


def differ(area: shapely.Geometry, expected: shapely.Geometry) -> float:
    """The share of the expected area by which the two differ."""
    return float(area.symmetric_difference(expected).area / expected.area)


def test_what_is_unlike_the_reference_is_hatched_as_far_as_the_slide_goes() -> None:
    shown = scene(View(scored_slide([0.0] * 6, novelty=[100, 0, 0, 0, 95, 94]), PINK), PINK)
    (patch,) = glyphs(shown, "Patch")
    first, fifth = (shapely.box(*scored_slide([0.0] * 6).grid.boxes_l0()[row]) for row in (0, 4))
    # Half a pixel of the picture, which has 1,000 for 560 of level 0.
    assert differ(filled(patch), (first | fifth) & shapely.box(0, 0, 560, 400)) < 0.01


def test_glass_is_not_hatched() -> None:
    """The left 300 of 560 level-0 px are tissue, the rest glass."""
    thumbnail = np.full((800, 1120, 3), 243, np.uint8)
    thumbnail[:, :600] = (190, 110, 160)
    slide = scored_slide([0.0] * 6, novelty=[100] * 6)
    (patch,) = glyphs(scene(View(slide, thumbnail), thumbnail), "Patch")
    assert differ(filled(patch), shapely.box(0, 0, 300, 400)) < 0.02


def test_what_is_uncertain_is_dotted() -> None:
    uncertain = np.array([False, True, False, False, False, False])
    shown = scene(View(replace(scored_slide([0.5] * 6), uncertain=uncertain), PINK), PINK)
    (patch,) = glyphs(shown, "Patch")
    assert patch.glyph.hatch_pattern == "dot"  # type: ignore[attr-defined]
    second = shapely.box(*scored_slide([0.5] * 6).grid.boxes_l0()[1])
    assert differ(filled(patch), second) < 0.01


def test_flawed_patches_are_outlined_in_a_layer_of_their_own() -> None:
    blur = np.float32([0, 0, 0, 0, 2, np.nan])
    slide = replace(scored_slide([0.5] * 6), quality={"blur_um": blur, "pen_fraction": blur * 0})
    shown = scene(View(slide, PINK), PINK)
    seam, line = shown.contours["quality"]
    assert [seam.visible, line.visible] == [False, False]
    fifth = shapely.box(*slide.grid.boxes_l0()[4])
    assert shapely.Polygon(corners(line)[:-1]).equals(fifth)
    assert scene(View(scored_slide([0.5] * 6), PINK), PINK).contours["quality"] == []


def test_tissue_travels_as_it_is() -> None:
    thumbnail = np.full((1000, 1400, 3), 243, np.uint8)
    thumbnail[:, :700] = (190, 110, 160)
    view = View(scored_slide([0.0] * 6), thumbnail)
    data = base64.b64decode(tissue_url(view).removeprefix("data:image/png;base64,"))
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(grey, view.tissue)
    assert (grey[10:-10, 10:690] == 255).all()
    assert (grey[10:-10, 710:] == 0).all()
