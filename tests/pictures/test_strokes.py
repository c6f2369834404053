"""Lines on pictures: where they run, where they are broken, and where they are hatched."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import LineString, Polygon, box

from histocnn.pictures.strokes import dashes, draw_outline, hatch, kept_lines, stipple

INK = (20, 20, 20)


def drawn(outline: Polygon, **how: object) -> np.ndarray:
    picture = np.full((100, 100, 3), 180, dtype=np.uint8)
    draw_outline(picture, outline, (1000, 1000), colour=INK, **how)  # type: ignore[arg-type]
    return picture


def test_outline_runs_along_the_polygon_and_its_hole() -> None:
    ring = Polygon(box(100, 100, 900, 900).exterior, [box(400, 400, 600, 600).exterior])
    picture = drawn(ring, halo=False)
    assert (picture[50, 9:11] < 120).all()
    assert (picture[50, 39:41] < 120).all()
    assert (picture[50, 20:35] == 180).all()


def test_a_halo_is_white_beside_the_line() -> None:
    picture = drawn(box(100, 100, 900, 900))
    assert (picture[50, 9:11] < 120).all()
    assert picture[50, [7, 12]].min() > 200
    assert (picture[50, 15] == 180).all()


def test_a_dotted_line_is_as_long_as_its_dots() -> None:
    """Of a line of 24 px with dots of 2 px and gaps of 4: 4 dots, 8 px."""
    pieces = dashes(np.array([[0.0, 0], [0, 10], [14, 10]]), "dotted", 2)
    lengths = [np.hypot(*np.diff(piece, axis=0).T).sum() for piece in pieces]
    assert lengths == pytest.approx([2, 2, 2, 2])
    assert pieces[2][0].tolist() == [2, 10]  # the third begins 12 px along, around the corner


def test_a_dash_goes_around_a_corner() -> None:
    (first, *_) = dashes(np.array([[0.0, 0], [0, 5], [9, 5]]), "dashed", 2)
    assert first.tolist() == [[0, 0], [0, 5], [3, 5]]


def test_what_is_no_polygon_is_not_drawn() -> None:
    assert (drawn(LineString([(0, 0), (900, 900)])) == 180).all()  # type: ignore[arg-type]


def test_a_quarter_is_hatched_along_diagonals() -> None:
    lines = hatch((16, 24))
    assert lines.mean() == 0.25
    assert (lines[1:, :-1] == lines[:-1, 1:]).all()


def test_a_ring_is_cut_only_where_it_is_not_drawn() -> None:
    """Wherever a ring happens to begin: of a square of 10 with its right side left out, one line
    over the other three; nothing of a ring that is not drawn at all, and all of one that is.
    """
    corners = [(0, 0), (10, 0), (10, 10), (0, 10)]
    for turn in range(4):
        square = Polygon(corners[turn:] + corners[:turn])
        (line,) = kept_lines([square], lambda ends: ~(ends[:, :, 0] == 10).all(axis=1), 2.5)
        assert len(line) == 13
        assert {tuple(end) for end in line[[0, -1]].tolist()} == {(10, 0), (10, 10)}
    assert kept_lines([box(0, 0, 1, 1)], lambda ends: np.zeros(len(ends), bool), 5) == []
    (whole,) = kept_lines([box(0, 0, 1, 1)], lambda ends: np.ones(len(ends), bool), 5)
    assert whole[0].tolist() == whole[-1].tolist()
    assert kept_lines([], lambda ends: np.ones(len(ends), bool), 5) == []


def test_a_fifth_is_stippled_with_dots_apart() -> None:
    dots = stipple((49, 49))
    assert dots.mean() == pytest.approx(9 / 49)
    assert dots[:3, :3].all()
    assert not dots[3:7].any()
    assert not (dots[:3] & dots[7:10]).any()  # the next row's stand between them
