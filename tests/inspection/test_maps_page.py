"""The page's section on maps: what it says, what it warns of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from histocnn.inspection.localisation import Pointing
from histocnn.inspection.map_facts import ClassMaps, MapFacts, SlideFacts
from histocnn.inspection.maps_page import maps_section, verdict, with_bounds
from histocnn.inspection.sanity import Likeness, Sanity
from histocnn.pages.embedded import Picture, thumbnail

STEP = Likeness("fc", 1, 0.2, (0.1, 0.3), 0.3, None, 40, 10, "few")
SANITY = Sanity((STEP,), STEP, 10, 5, 0, False)
MAPS = ClassMaps(
    methods=("grad_cam", "occlusion"),
    refused={"cam": "its head is two layers"},
    maps=(MapFacts("i", "tumour", 0.975, {"grad_cam": 0.5, "occlusion": None}, "m.png"),),
    of_class="tumour",
    sanity=SANITY,
    located=(Pointing("grad_cam", 5, 1, 0.8, 0.5, 0.2, 0.6, {"hit": (0.6, 1.0)}, "few slides"),),
    slides=(SlideFacts("s1", "tumour", 12, (0.0, 1.0), (-1.0, 2.0), "s.png"),),
)


def shown(name: str, *caption: str) -> Picture:
    return thumbnail(np.zeros((4, 4, 3), np.uint8), *caption)


def test_what_is_shown_refused_checked_and_scored() -> None:
    section = maps_section(MAPS, shown)
    assert "the image, Grad-CAM, occlusion" in section.words[0]
    assert "No CAM: its head is two layers." in section.words
    assert section.galleries[0][1][0].caption == (
        "tumour (97.5%), i",
        "Grad-CAM up to 0.5, occlusion undefined",
    )
    assert "12 windows" in section.galleries[1][1][0].caption[0]
    sanity, located = section.tables
    assert sanity[2] == [["fc", 1, "0.20 (0.10 to 0.30)", "0.30", 40, 10]]
    assert located[2] == [["Grad-CAM", 5, "0.80 (0.60 to 1.00)", "0.50", "0.60", 1]]
    assert section.flags == []


def test_a_map_that_does_not_depend_on_the_weights_is_a_warning() -> None:
    section = maps_section(replace(MAPS, sanity=replace(SANITY, flagged=True)), shown)
    assert "stays as it is" in section.flags[0]
    assert "changes" in verdict(SANITY, "tumour")
    assert with_bounds(float("nan"), None) == "undefined"
