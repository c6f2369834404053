"""Scores over a slide: which colour a cell has, and that what was not scored shows the slide."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.pictures.heat import OPACITY, class_picture, novelty_picture, score_picture
from histocnn.pictures.overlay import faded
from histocnn.pictures.palette import NOVELTY_MAP, SCORE_MAP, class_colours, shade
from tests.exports.scored_slide import scored_slide

NAN = float("nan")
GREY = np.full((400, 560, 3), 120, np.uint8)  # a thumbnail as large as level 0


def colours_in(path: Path) -> set[tuple[int, ...]]:
    sheet = cv2.imread(str(path))[..., ::-1]
    colours, counts = np.unique(sheet.reshape(-1, 3), axis=0, return_counts=True)
    return {tuple(each) for each in colours[counts > 5_000].tolist()}


def over_grey(colour: np.ndarray) -> np.ndarray:
    ground = faded(GREY)[0, 0].astype(float)
    return ground + OPACITY * (colour[:3].astype(float) - ground)


def assert_shows(path: Path, expected: list[np.ndarray]) -> None:
    found = np.array(sorted(colours_in(path)), float)
    for colour in expected:
        assert np.abs(found - colour).max(axis=1).min() <= 1, (colour, found)


def test_a_cell_has_its_scores_colour_and_an_unscored_one_the_slides(tmp_path: Path) -> None:
    slide = scored_slide([0.9, 0.1, 0.9, NAN, 0.1, 0.1])
    score_picture(slide, GREY, 1, tmp_path / "a.png", "s1")
    high, low = shade(np.array([0.9, 0.1]), SCORE_MAP)
    assert_shows(tmp_path / "a.png", [over_grey(high), over_grey(low), faded(GREY)[0, 0]])


def test_the_likeliest_class_has_its_own_colour(tmp_path: Path) -> None:
    class_picture(scored_slide([0.9, 0.1, 0.9, NAN, 0.1, 0.1]), GREY, tmp_path / "a.png", "s1")
    normal, tumour = class_colours(2)
    assert_shows(tmp_path / "a.png", [over_grey(normal), over_grey(tumour), faded(GREY)[0, 0]])


def test_novelty_is_shown_where_it_was_asked_for(tmp_path: Path) -> None:
    slide = scored_slide([0.5] * 6, novelty=[100, 0, 100, 0, 100, NAN])
    novelty_picture(slide, GREY, tmp_path / "a.png", "s1")
    new, known = shade(np.array([1.0, 0.0]), NOVELTY_MAP)
    assert_shows(tmp_path / "a.png", [over_grey(new), over_grey(known)])
    with pytest.raises(ValueError, match="no novelty"):
        novelty_picture(scored_slide([0.5] * 6), GREY, tmp_path / "b.png", "s1")
