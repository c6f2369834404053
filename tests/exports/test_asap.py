"""ASAP's XML: its groups, its squares, and foci that have no holes."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely
from defusedxml.ElementTree import parse
from hypothesis import given
from hypothesis import strategies as st

from histocnn.exports.asap import _without_holes, write_asap
from tests.exports.scored_slide import scored_slide


def test_patches_are_squares_of_their_likeliest_class(tmp_path: Path) -> None:
    slide = scored_slide([0.9, 0.1, 0.7, 0.2, float("nan"), 0.1])
    write_asap(slide, tmp_path / "a.xml", classes=[1])
    root = parse(tmp_path / "a.xml").getroot()
    (group,) = root.iter("Group")
    assert (group.get("Name"), group.get("Color")) == ("tumour", "#d55e00")
    drawn = list(root.iter("Annotation"))
    assert [each.get("Name") for each in drawn] == ["tumour 0", "tumour 1"]
    assert {each.get("PartOfGroup") for each in drawn} == {"tumour"}
    corners = [(float(c.get("X")), float(c.get("Y"))) for c in drawn[1].iter("Coordinate")]
    assert shapely.Polygon(corners).equals(shapely.box(400, 0, 560, 200))
    assert [c.get("Order") for c in drawn[1].iter("Coordinate")] == ["0", "1", "2", "3"]


def test_foci_are_drawn_from_a_threshold_on(tmp_path: Path) -> None:
    slide = scored_slide([0.9, 0.6, 0.1, 0.2, 0.1, 0.8])
    write_asap(slide, tmp_path / "a.xml", classes=[1], threshold=0.5)
    assert len(list(parse(tmp_path / "a.xml").getroot().iter("Annotation"))) == 2


HOLES = st.lists(
    st.tuples(st.integers(1, 17), st.integers(1, 17), st.integers(1, 3), st.integers(1, 3)),
    max_size=5,
)


@given(HOLES)
def test_pieces_without_holes_cover_the_same_area(holes: list[tuple[int, int, int, int]]) -> None:
    cut = shapely.union_all([shapely.box(x, y, x + w, y + h) for x, y, w, h in holes])
    whole = shapely.box(0, 0, 21, 21).difference(cut)
    pieces = list(_without_holes(whole))
    assert all(shapely.get_num_interior_rings(piece) == 0 for piece in pieces)
    assert sum(piece.area for piece in pieces) == pytest.approx(whole.area)
    assert shapely.union_all(pieces).symmetric_difference(whole).area == pytest.approx(0)
