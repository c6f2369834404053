"""Mosaics: one scale, dead channels crossed out, filters around grey, fields with outlines."""

from __future__ import annotations

import numpy as np

from histocnn.pictures import mosaic as m
from histocnn.pictures.palette import shade


def test_channels_lie_in_rows_on_one_scale() -> None:
    channels = np.zeros((5, 2, 2), np.float32)
    channels[1], channels[4] = 1, 0.5
    picture = m.mosaic(channels, 0, 1, width_px=330)
    side = 160  # three columns: 330 // 3 - 2 = 108
    side = 330 // 3 - 2
    step = side + m.GAP_PX
    low, middle, high = shade(np.array([0, 0.5, 1]))
    assert (picture[side // 2, side // 2] == low).all()
    assert (picture[side // 2, step + side // 2] == high).all()
    assert (picture[step + side // 2, step + side // 2] == middle).all()
    assert (picture[step + side // 2, 2 * step + side // 2] == 255).all()  # there is no sixth


def test_dead_channels_are_crossed_out() -> None:
    channels = np.random.default_rng(0).random((4, 3, 3), dtype=np.float32)
    plain = m.mosaic(channels, 0, 1)
    marked = m.mosaic(channels, 0, 1, dead=np.array([False, True, False, False]))
    side = 160
    assert (plain[:side, :side] == marked[:side, :side]).all()
    cell = marked[:side, side + m.GAP_PX : 2 * side + m.GAP_PX]
    assert (cell[side // 2, side // 4] == m.DEAD).all()
    assert (cell[20, 20] != m.DEAD).any()


def test_one_value_everywhere_is_no_division_by_nothing() -> None:
    assert m.mosaic(np.ones((1, 2, 2), np.float32), 1, 1).dtype == np.uint8


def test_filters_lie_around_grey_each_on_its_own_scale() -> None:
    weights = np.zeros((2, 3, 1, 1), np.float32)
    weights[0, 0], weights[1, 1] = 5, -0.1
    picture = m.filters_picture(weights)
    assert picture[0, 0].tolist() == [255, 128, 128]
    assert picture[0, -1].tolist() == [128, 0, 128]
    grey = m.filters_picture(np.ones((1, 1, 2, 2), np.float32))
    assert grey[0, 0].tolist() == [255, 255, 255]
    assert m.filters_picture(np.zeros((1, 6, 2, 2), np.float32))[0, 0].tolist() == [128] * 3


def test_a_field_has_its_outlines_about_its_centre() -> None:
    gradient = np.zeros((62, 62), np.float32)
    gradient[30, 30] = 1
    picture = m.field_picture(gradient, (11, 21), (6, 6))
    scale = m.FIELD_PX / 62
    x, y = round((30.5 - 5.5) * scale), round(30.5 * scale)
    assert (picture[y, x] == m.THEORY).all()
    assert (picture[round((30.5 - 10.5) * scale), round(30.5 * scale)] == m.THEORY).all()
    assert (picture[y, round((30.5 + 3) * scale)] == m.EFFECTIVE).any()
    assert m.field_picture(np.zeros((4, 4), np.float32), None, None).shape == (m.FIELD_PX,) * 2 + (
        3,
    )


def test_tiles_of_more_rows_than_columns() -> None:
    cells = [np.full((2, 3, 3), i, np.uint8) for i in range(3)]
    paper = m.tiles(cells, 2, gap_px=1)
    assert paper.shape == (5, 7, 3)
    assert (paper[3, 0] == 2).all()
