"""The layout of a phantom in µm: regions that add up, and content that stays within its region."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from histocnn.phantom.cells import EPITHELIUM, TUMOUR, inside
from histocnn.phantom.tissue import LESION_SHARE, Layout, lay_out


@pytest.fixture(scope="module")
def layout() -> Layout:
    rng = np.random.default_rng(5)
    return lay_out(rng, (2000, 1500), (1600, 1000), lesions=1, pen=True, blur=True)


def test_the_section_has_its_size_and_place(layout: Layout) -> None:
    assert layout.tissue.bounds == pytest.approx((200, 250, 1800, 1250))
    assert shapely.box(0, 0, 2000, 1500).covers(layout.pen)


def test_regions_of_the_tissue_add_up(layout: Layout) -> None:
    parts = [layout.normal, layout.tumour, layout.fat]
    assert sum(part.area for part in parts) == pytest.approx(layout.tissue.area)
    assert 0.3 * LESION_SHARE < layout.tumour.area / layout.tissue.area <= 1.5 * LESION_SHARE
    assert layout.tissue.buffer(1e-6).covers(layout.blurred)


def test_a_gland_lies_in_one_kind_of_tissue(layout: Layout) -> None:
    in_tumour = inside(layout.tumour, layout.glands)
    in_normal = inside(layout.normal, layout.glands)
    assert (in_tumour.all(axis=1) | in_normal.all(axis=1)).all()
    assert in_tumour.all(axis=1).any()
    assert in_normal.all(axis=1).any()


def test_nuclei_are_where_their_kind_belongs(layout: Layout) -> None:
    cells = layout.cells
    assert inside(layout.tumour, cells.xy_um[cells.kind == TUMOUR]).all()
    assert inside(layout.normal, cells.xy_um[cells.kind == EPITHELIUM]).all()
    assert len(cells.xy_um) == len(cells.kind) == len(cells.angle)


def test_what_was_not_asked_is_not_there_and_the_seed_decides() -> None:
    def plain(seed: int) -> Layout:
        rng = np.random.default_rng(seed)
        return lay_out(rng, (800, 800), (600, 600), lesions=0, pen=False, blur=False)

    first = plain(1)
    assert first.tumour.is_empty
    assert first.pen.is_empty
    assert first.blurred.is_empty
    assert TUMOUR not in first.cells.kind
    assert plain(1).tissue.equals(first.tissue)
    assert np.array_equal(plain(1).cells.xy_um, first.cells.xy_um)
    assert not plain(2).tissue.equals(first.tissue)
