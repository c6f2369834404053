"""Marks on a phantom: strokes on the slide, folds within the section that absorb twice as much."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from histocnn.phantom.marks import FOLD_SHARE, fold_across, pen_strokes
from histocnn.phantom.paint import Painter
from histocnn.phantom.stain import BLOCK_PX, GLASS_RGB
from histocnn.phantom.tissue import lay_out


def test_a_fold_crosses_the_section_and_stays_in_it() -> None:
    tissue = shapely.box(100, 200, 1100, 800)
    fold = fold_across(np.random.default_rng(0), tissue)
    assert tissue.buffer(1e-6).covers(fold)
    assert fold.area / 600 == pytest.approx(FOLD_SHARE * 600, rel=0.8)  # across its shorter side
    assert fold.intersects(tissue.centroid.buffer(0.2 * 1000))


def test_strokes_are_as_thick_as_a_felt_tip() -> None:
    strokes = pen_strokes(np.random.default_rng(0), np.array([500.0, 500.0]), (400, 200))
    assert not strokes.buffer(-0.45 * 10).is_empty  # a twentieth of the shorter side
    assert strokes.intersection(shapely.box(300, 400, 700, 600)).area > 0


def test_where_the_section_lies_double_it_absorbs_twice_as_much() -> None:
    drawn = [
        lay_out(np.random.default_rng(3), (2048, 1024), (300, 200), lesions=0, pen=False,
                blur=False, fold=fold)
        for fold in (False, True)
    ]  # fmt: skip
    plain, folded = (Painter(each, (4096, 2048), 0.5, "A", None, 0).paint(0, 0) for each in drawn)
    assert plain is not None
    assert folded is not None
    y, x = (np.mgrid[:BLOCK_PX, :BLOCK_PX] + 0.5) * 0.5
    inside = shapely.contains_xy(drawn[1].folded.buffer(-1), x, y)
    outside = ~shapely.contains_xy(drawn[1].folded.buffer(1), x, y)
    assert inside.sum() > 500
    assert np.array_equal(plain[outside], folded[outside])
    density = [-np.log(image[inside] / np.array(GLASS_RGB)) for image in (plain, folded)]
    dark = plain[inside].min(axis=1) > 60  # below, a grey level of rounding is much
    assert density[1][dark] == pytest.approx(2 * density[0][dark], abs=0.06)
