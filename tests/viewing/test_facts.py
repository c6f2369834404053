"""What the page is told, and what it is not told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from histocnn.slides.slide import Slide
from histocnn.storage import store
from histocnn.viewing.facts import of_layers, of_shelf, of_slide
from histocnn.viewing.opened import open_listed
from histocnn.viewing.shelf import shelve
from tests.slide_files import position_image, write_pyramid
from tests.viewing.test_shelf import a_slide, scores_of


def test_a_slide_s_frame_and_layers(looked_at: Path) -> None:
    shelf = shelve(looked_at / "scores", looked_at / "slides.csv")
    opened = open_listed(shelf.slides[0])
    said = of_slide(opened, shelf)
    assert opened._scored == {}  # pixels come first
    said |= of_layers(opened, shelf)
    assert said["id"] == "a"
    assert said["size_px"] == (1400, 1100)
    assert said["unit_um"] == 0.5
    assert said["annotated"]
    assert [each["key"] for each in said["layers"]] == [
        "classes", "s0", "s1", "novelty", "errors", "labels", "grid",
    ]  # fmt: skip
    json.dumps(said)  # is what is sent


def test_no_path_of_this_machine_is_told(looked_at: Path) -> None:
    shelf = shelve(looked_at / "scores", looked_at / "slides.csv")
    opened = open_listed(shelf.slides[0])
    said = json.dumps([of_shelf(shelf), of_slide(opened, shelf), of_layers(opened, shelf)])
    assert str(looked_at) not in said


def test_pixels_that_are_not_square_are_in_the_frame(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tiff", position_image(300, 200), mpp=(0.5, 1.0))
    shelf = shelve(path)
    said = of_slide(open_listed(shelf.slides[0]), shelf)
    assert said["size_px"] == (300, 400)
    assert said["px_l0"] == [1.0, 0.5]  # a pixel of the frame is half of one of level 0, down
    assert of_layers(open_listed(shelf.slides[0]), shelf)["layers"] == []


def test_what_cannot_be_laid_over_is_said_and_the_rest_is_shown(tmp_path: Path) -> None:
    slide = a_slide(tmp_path)
    file = scores_of(tmp_path / "out" / "one" / "a.h5", slide)
    data, attributes = store.read(file), store.attributes(file)
    data["coords"] = data["coords"] + 7  # off the grid
    del data["cell"]
    store.write(tmp_path / "out" / "two" / "a.h5", data, attributes)
    shelf = shelve(tmp_path / "out")
    said = of_layers(open_listed(shelf.slides[0]), shelf)
    assert "off a grid" in said["refused"]["two"]
    assert {each["source"] for each in said["layers"]} == {0}


def test_two_scores_of_a_slide_are_told_apart(tmp_path: Path) -> None:
    slide = a_slide(tmp_path)
    scores_of(tmp_path / "out" / "one" / "a.h5", slide)
    scores_of(tmp_path / "out" / "two" / "a.h5", slide)
    shelf = shelve(tmp_path / "out")
    opened = open_listed(shelf.slides[0])
    said = of_layers(opened, shelf)
    keys = [(each["source"], each["key"]) for each in said["layers"]]
    assert keys.count((0, "classes")) == keys.count((1, "classes")) == 1
    assert [key for _, key in keys].count("grid") == 1
    assert of_slide(opened, shelf)["sources"] == {0: "one", 1: "two"}


def test_slide_level_scores_are_those_of_heatmap_or_made(looked_at: Path) -> None:
    shelf = shelve(looked_at / "scores")
    opened = open_listed(shelf.slides[0])
    made = of_layers(opened, shelf)["scores"]
    top = float(opened.scored(0).scores[:, 0].max())
    assert made["max_normal"] == top
    assert "patches" not in made
    known = replace(opened, listed=replace(opened.listed, scores={"max_normal": 0.5}))
    assert of_layers(known, shelf)["scores"] == {"max_normal": 0.5}


def test_the_shelf_says_names_and_scores_and_colour_maps(tmp_path: Path) -> None:
    said = of_shelf(shelve(a_slide(tmp_path)))
    assert said["slides"] == [{"id": "a", "scores": {}, "broken": ""}]
    assert np.shape(said["maps"]["viridis"]) == (256, 3)
    assert said["tile"] == 256


def test_a_slide_without_scale_says_none(tmp_path: Path) -> None:
    bare = write_pyramid(tmp_path / "b.tiff", position_image(300, 200), mpp=None)
    assert Slide(bare).mpp is None
    shelf = shelve(bare)
    assert of_slide(open_listed(shelf.slides[0]), shelf)["unit_um"] is None
