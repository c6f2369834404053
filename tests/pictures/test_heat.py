"""Scores over a slide: which colour a pixel has, worked out by hand, and where nothing is laid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from histocnn.patches.grid import Window, build_grid
from histocnn.pictures.heat import (
    CLASS_OPACITY,
    NOVELTY_OPACITY,
    OPACITY,
    View,
    class_picture,
    novelty_picture,
    quality_picture,
    score_picture,
)
from histocnn.pictures.palette import NOVELTY_MAP, class_colours, map_table
from histocnn.pictures.sheet import ColourBar, Entry
from histocnn.scores.scored import ScoredSlide
from tests.exports.scored_slide import scored_slide

NAN = float("nan")
PINK = np.array([190, 110, 160])  # tissue everywhere
THUMBNAIL = np.full((1000, 1400, 3), PINK, np.uint8)  # of 560 × 400 level-0 px: 2.5 px each
# Centres of the six patches of `scored_slide` in the picture, (row, col), off its hatching.
CENTRES = [(250, 250), (250, 750), (250, 1200), (750, 250), (750, 750), (750, 1200)]


def over(colour: NDArray[np.integer], opacity: float) -> NDArray[np.float64]:
    return PINK * (1 - opacity) + np.asarray(colour) * opacity


def names(key: object) -> list[str]:
    return [each.name for each in key if isinstance(each, Entry)]  # type: ignore[attr-defined]


def test_the_surer_a_score_the_more_of_its_colour_covers_the_slide() -> None:
    """At 1 yellow lies at 0.6; at 0.25 an eighth of that; at 0 and unscored the slide is bare."""
    view = View(scored_slide([1.0, 0.0, 0.25, NAN, 0.4, 0.0]), THUMBNAIL)
    pixels, key = score_picture(view, 1)
    table = map_table("viridis").astype(int)
    assert pixels[CENTRES[0]] == pytest.approx(over(table[255], 0.6), abs=1)
    assert pixels[CENTRES[2]] == pytest.approx(over(table[64], 0.6 * 0.125), abs=1)
    for bare in (1, 3, 5):
        assert (pixels[CENTRES[bare]] == PINK).all()
    (bar,) = [each for each in key if isinstance(each, ColourBar)]
    assert bar.opacity is OPACITY
    assert bar.marks == (0.5,)
    assert names(key) == ["threshold: 0.5"]


def test_glass_stays_clear() -> None:
    thumbnail = THUMBNAIL.copy()
    thumbnail[:500] = 243
    pixels, _ = score_picture(View(scored_slide([1.0] * 6), thumbnail), 1)
    assert (pixels[20:480, 20:1380] == 243).all()
    assert (pixels[600, 20:1380] != PINK).any(axis=1).all()


def test_the_likeliest_class_is_the_paler_the_less_sure() -> None:
    """Of two classes 0.75 is half of the way from a tossed coin to certainty."""
    view = View(scored_slide([1.0, 0.0, 0.75, NAN, 0.5, 0.0]), THUMBNAIL)
    pixels, key = class_picture(view)
    normal, tumour = class_colours(["normal", "tumour"]).astype(int)
    assert pixels[CENTRES[0]] == pytest.approx(over(tumour, CLASS_OPACITY), abs=1)
    assert pixels[CENTRES[1]] == pytest.approx(over(normal, CLASS_OPACITY), abs=1)
    assert pixels[CENTRES[2]] == pytest.approx(over(tumour, CLASS_OPACITY / 2), abs=1)
    assert (pixels[CENTRES[3]] == PINK).all()
    assert (pixels[CENTRES[4]] == PINK).all()
    assert names(key) == ["normal  (60.0%)", "tumour  (40.0%)"]


def test_a_legend_says_that_nothing_was_scored_and_cuts_names_that_would_widen_the_sheet() -> None:
    slide = replace(scored_slide([NAN] * 6), class_names=("normal", "a" * 30 + "b" * 30))
    cut = "a" * 19 + "…" + "b" * 20
    key = class_picture(View(slide, THUMBNAIL)).key
    assert names(key) == ["normal  (nothing scored)", f"{cut}  (nothing scored)"]
    (bar, *_) = score_picture(View(slide, THUMBNAIL), 1).key
    assert isinstance(bar, ColourBar)
    assert bar.meaning == f"probability of {cut}"


def test_chosen_colours_are_those_of_picture_legend_and_annotation() -> None:
    view = View(
        scored_slide([1.0] * 6),
        THUMBNAIL,
        annotations={"tumour": shapely.box(100, 100, 300, 300)},
        colours={"tumour": (0, 200, 0)},
    )
    pixels, key = class_picture(view)
    assert pixels[CENTRES[5]] == pytest.approx(over(np.array([0, 200, 0]), CLASS_OPACITY), abs=1)
    assert [each.colour for each in key if "tumour" in each.name] == [[0, 200, 0]] * 2  # type: ignore[union-attr]
    line = pixels[400, 245:256].astype(int)  # the annotation's left side: x = 100 is 250 px
    assert np.abs(line - (0, 200, 0)).max(axis=1).min() <= 30
    assert (line.min(axis=1) > 190).any()  # its halo


def test_novelty_is_shown_where_it_was_asked_for_and_hatched_from_95() -> None:
    slide = scored_slide([0.0] * 6, novelty=[100, 0, 94, 95, 50, NAN])
    view = View(slide, THUMBNAIL)
    pixels, key = novelty_picture(view)
    table = map_table(NOVELTY_MAP).astype(int)
    lines = (np.arange(1000)[:, None] + np.arange(1400)) % 8 < 2
    for place, value in ((0, 255), (1, 0), (2, 240), (3, 242), (4, 128)):
        row, column = CENTRES[place]
        part = slice(row - 40, row + 40), slice(column - 40, column + 40)
        plain = over(table[value], NOVELTY_OPACITY[value])
        assert pixels[part][~lines[part]] == pytest.approx(
            np.tile(plain, ((~lines[part]).sum(), 1)), abs=1.5
        )
        hatched = np.abs(pixels[part][lines[part]] - plain).max() > 5
        assert hatched == (place in (0, 3))
    assert (pixels[CENTRES[5]] == PINK).all()
    assert names(key) == ["unlike the reference (novelty from 95)"]
    assert names(score_picture(view, 1).key)[0] == "unlike the reference (novelty from 95)"
    with pytest.raises(ValueError, match="no novelty"):
        novelty_picture(View(scored_slide([0.5] * 6), THUMBNAIL))


def test_uncertain_patches_are_stippled_and_the_legend_says_it() -> None:
    """Also where no class is likely; a patch that was not scored is not called uncertain."""
    slide = replace(
        scored_slide([1.0, 0.0, 1.0, NAN, 0.0, 0.5]),
        uncertain=np.array([True, False, False, False, True, True]),
    )
    sure = replace(slide, uncertain=np.zeros(6, bool))
    for draw in (class_picture, lambda view: score_picture(view, 1)):
        pixels, key = draw(View(slide, THUMBNAIL))
        bare, plain = draw(View(sure, THUMBNAIL))
        for place, (row, column) in enumerate(CENTRES):
            part = slice(row - 40, row + 40), slice(column - 40, column + 40)
            dots = (pixels[part] != bare[part]).any(axis=2)
            assert dots.mean() == pytest.approx(9 / 49 if place in (0, 4, 5) else 0, abs=0.01)
        said = "uncertain (no class, or several)"
        assert said in names(key)
        assert said not in names(plain)


def dense(tumour: NDArray[np.float32], **more: object) -> ScoredSlide:
    """Patches of 40 px at every 10 px over a slide of 1000 × 1000 px; `tumour` [100, 100]."""
    grid = build_grid((1000, 1000), (0.5, 0.5), patch_px=40, mpp=0.5, overlap_px=30)
    scores = np.stack([1 - tumour, tumour], axis=-1).reshape(-1, 2)
    return ScoredSlide("s1", grid, scores, ("normal", "tumour"), **more)  # type: ignore[arg-type]


def ink_of(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return pixels.max(axis=2) < 60


def test_the_contour_of_a_marked_patch_lies_on_its_edge() -> None:
    """One patch alone is scored: its footprint, x 300 to 340 and y 500 to 540, is four cells each
    way that all have its score, so the contour runs along its edge: within one level-0 pixel.
    """
    tumour = np.full((100, 100), NAN, np.float32)
    tumour[50, 30] = 0.9
    thumbnail = np.full((1000, 1000, 3), PINK, np.uint8)
    pixels, _ = score_picture(View(dense(tumour), thumbnail), 1)
    rows, columns = np.nonzero(ink_of(pixels))
    assert np.abs(np.array([columns.min(), rows.min()]) + 1 - (300, 500)).max() <= 1
    assert np.abs(np.array([columns.max(), rows.max()]) - (340, 540)).max() <= 1
    assert not ink_of(pixels)[505:535, 305:335].any()


def test_each_operating_point_has_its_contour_where_the_score_crosses_it() -> None:
    """A ramp along x: a patch has a thousandth of its left edge. A cell at x to x + 10 lies in the
    patches that begin at x - 30 to x, whose mean is (x - 15) / 1000: its centre, x + 5, has the
    score of the patch whose centre it is, and 0.3 is crossed at 320.
    """
    tumour = np.tile((np.arange(100) * 10 / 1000).astype(np.float32), (100, 1))
    points = {"tumour": {"sensitivity_95": 0.3, "youden": 0.5, "specificity_95": 0.7, "odd": 0.9}}
    slide = dense(tumour, points=points)
    thumbnail = np.full((1000, 1000, 3), PINK, np.uint8)
    pixels, key = score_picture(View(slide, thumbnail), 1)
    assert names(key) == ["sensitivity 95 %: 0.3", "Youden: 0.5", "specificity 95 %: 0.7"]
    inked = ink_of(pixels)[100:900].mean(axis=0)
    # Dots are drawn over less of a line than dashes, and a line over all of it.
    for score, least, most in ((0.3, 0.2, 0.7), (0.5, 0.99, 1.0), (0.7, 0.7, 0.95)):
        x = round(score * 1000 + 20)
        assert least <= inked[x - 2 : x + 2].max() <= most
        assert inked[x - 30 : x - 6].max() == 0
        assert inked[x + 6 : x + 30].max() == 0


def test_what_lies_on_glass_has_no_contour() -> None:
    tumour = np.full((100, 100), NAN, np.float32)
    tumour[50, 30] = tumour[10, 10] = 0.9
    thumbnail = np.full((1000, 1000, 3), 243, np.uint8)
    thumbnail[490:550, 290:350] = PINK
    pixels, _ = score_picture(View(dense(tumour), thumbnail), 1)
    assert ink_of(pixels)[490:550, 290:350].any()
    assert not ink_of(pixels)[:200].any()


def test_no_contour_runs_along_the_slides_edge() -> None:
    """High in the upper left quarter, 0 to 500 either way: two sides are the slide's own."""
    tumour = np.zeros((100, 100), np.float32)
    tumour[:50, :50] = 1
    thumbnail = np.full((1000, 1000, 3), PINK, np.uint8)
    view = View(dense(tumour), thumbnail)
    (line,) = view.lines(1, 0.5)
    assert np.hypot(*np.diff(line, axis=0).T).sum() == pytest.approx(1000, abs=40)
    assert (line[[0, -1]].min(axis=1) == 0).all()
    inked = ink_of(score_picture(view, 1).pixels)
    assert inked[:, :3].any(axis=1).sum() <= 4
    assert inked[:3].any(axis=0).sum() <= 4
    assert inked.sum() > 1500


def test_before_the_first_windows_centres_nothing_is_outlined() -> None:
    """Windows of 40 px at every 10 px over 1000 px: up to x = 20 the first ones' scores repeat.

    Of the first window of row 48, centred at y = 500, alone a score stretches to the slide's edge;
    its outline begins at its centre.
    """
    tumour = np.zeros((100, 100), np.float32)
    tumour[48, 0] = 1
    slide = dense(tumour)
    view = View(
        replace(slide, grid=replace(slide.grid, window=Window(40, 0.0, 20.0))),
        np.full((1000, 1000, 3), PINK, np.uint8),
    )
    (area,) = view.slide.areas_at(1, 0.2)
    assert area.bounds[0] == 0
    (line,) = view.lines(1, 0.2)
    assert 20 <= line[:, 0].min() <= 22.5
    assert 480 < line[:, 1].min() < line[:, 1].max() < 520


def test_a_written_picture_says_what_it_rests_on(tmp_path: Path) -> None:
    slide = replace(scored_slide([0.9] * 6), origin="knn on 2 reference files")
    view = View(slide, THUMBNAIL)
    view.write(class_picture(view), tmp_path / "a.png", "s1")
    plain = View(replace(slide, origin=""), THUMBNAIL)
    plain.write(class_picture(plain), tmp_path / "b.png", "s1")
    said, silent = (cv2.imread(str(tmp_path / f"{name}.png")) for name in "ab")
    foot = slice(said.shape[0] - 60, None)
    assert (said[foot] < 200).sum() > (silent[foot] < 200).sum()


def test_flawed_patches_are_outlined_over_the_slide_as_it_is() -> None:
    """Of six patches the fifth is blurred: its upper left corner is (200, 200) level-0 px."""
    blur = np.array([0, 0, 0, 0, 2, NAN], np.float32)
    slide = replace(scored_slide([1.0] * 6), quality={"blur_um": blur})
    pixels, key = quality_picture(View(slide, THUMBNAIL))
    assert names(key) == ["blurred  (1)"]
    changed = np.argwhere((pixels != PINK).any(axis=2))
    assert np.abs(changed.min(axis=0) - [500, 500]).max() <= 4
    assert np.abs(changed.max(axis=0) - [1000, 1000]).max() <= 4
    pixels, key = quality_picture(View(replace(slide, quality={"blur_um": blur * 0}), THUMBNAIL))
    assert names(key) == ["blur, pen, fold, edge: no patch"]
    assert (pixels == PINK).all()
