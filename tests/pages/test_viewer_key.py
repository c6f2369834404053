"""What the page says of its colours and lines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely

from histocnn.pages.viewer_key import keys, layers
from histocnn.pictures.heat import View
from tests.exports.scored_slide import scored_slide

PINK = np.full((100, 140, 3), (190, 110, 160), np.uint8)


def test_each_layer_explains_its_own_lines_and_those_over_all() -> None:
    slide = scored_slide([0.9] * 6, novelty=[100, 0, 0, 0, 0, 0])
    points = {"tumour": {"youden": 0.25, "specificity_95": 0.75}}
    view = View(
        replace(slide, points=points),
        PINK,
        annotations={"a <b>": shapely.box(0, 0, 100, 100)},
        colours={"tumour": (1, 2, 3)},
        threshold=0.4,
    )
    found = keys(view)
    assert list(found) == [name for name, _ in layers(slide)] == ["classes", "s0", "s1", "novelty"]
    for text in found.values():
        assert "annotated a &lt;b&gt;" in text
        assert "novelty from 95" in text
    assert "rgb(1,2,3)" in found["classes"]
    assert "threshold: 0.4" in found["s0"]
    assert "Youden: 0.25" in found["s1"]
    assert "dashed" in found["s1"]
    assert "threshold" not in found["s1"]
    assert "Youden" not in found["novelty"]


def test_nothing_is_explained_that_is_not_shown() -> None:
    found = keys(View(scored_slide([0.9] * 6, novelty=[94] * 6), PINK))
    assert "annotated" not in found["classes"]
    assert "unlike" not in found["classes"]
    assert "uncertain" not in found["classes"]


def test_uncertain_patches_are_explained() -> None:
    slide = replace(scored_slide([0.5] * 6), uncertain=np.ones(6, bool))
    assert "uncertain (no class, or several)" in keys(View(slide, PINK))["s1"]


def test_flaws_are_explained_where_quality_was_measured() -> None:
    blur = np.float32([0, 0, 0, 0, 2, 0])
    for values, said in ((blur, "blurred  (1)"), (blur * 0, "blur, pen, fold, edge: no patch")):
        slide = replace(scored_slide([0.5] * 6), quality={"blur_um": values})
        found = keys(View(slide, PINK))
        assert list(found) == [name for name, _ in layers(slide)]
        assert said.replace("  ", " ") in " ".join(found["quality"].split())
