"""Blocks of a phantom: equal in any order, glass where nothing is, ink where it was drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import shapely

from histocnn.phantom.paint import Painter
from histocnn.phantom.stain import BLOCK_PX, GLASS_RGB, PEN_RGB
from histocnn.phantom.tissue import Layout, lay_out

MPP = 0.5


def layout(pen: bool = False) -> Layout:
    """A section of 300 × 200 µm in the middle of a slide of 2048 × 1024 µm."""
    rng = np.random.default_rng(3)
    return lay_out(rng, (2048, 1024), (300, 200), lesions=0, pen=pen, blur=False)


def test_a_block_is_the_same_whatever_was_painted_before() -> None:
    first, second = (Painter(layout(), (4096, 2048), MPP, "A", None, 0) for _ in range(2))
    first.paint(2048, 0)
    again = first.paint(0, 0), first.paint(0, 0), second.paint(0, 0)
    assert np.array_equal(again[0], again[1])
    assert np.array_equal(again[0], again[2])


def test_glass_is_no_block_at_all_and_bare_beside_the_tissue() -> None:
    painter = Painter(layout(), (8192, 2048), MPP, "A", None, 0)
    assert painter.paint(6144, 0) is None  # tissue ends at 1174 µm, 2348 px
    block = painter.paint(0, 0)
    assert block is not None
    apart = np.abs(block[:200, :200] - np.array(GLASS_RGB))
    assert apart.max() < 12  # grain
    assert apart.mean() < 1.5


@pytest.mark.parametrize("colour", PEN_RGB)
def test_ink_has_the_pens_colour(colour: str) -> None:
    drawn = layout(pen=True)
    block = Painter(drawn, (4096, 2048), MPP, "A", colour, 0).paint(0, 0)
    assert block is not None
    y, x = (np.mgrid[:BLOCK_PX, :BLOCK_PX] + 0.5) * MPP
    inked = shapely.contains_xy(drawn.pen.buffer(-1), x, y)
    # 86 % pen, the rest what shines through of at most glass.
    through = 0.14 * (0.3 + 0.7 * np.array(PEN_RGB[colour]) / 255) * 255
    assert inked.sum() > 1000
    assert np.abs(block[inked] - 0.86 * np.array(PEN_RGB[colour])).max() <= through.max() + 1


def test_blocks_meet_without_a_seam() -> None:
    size_px = (4096, 2048)
    layout = lay_out(
        np.random.default_rng(0), (2048, 1024), (1900, 950), lesions=1, pen=False, blur=True
    )
    painter = Painter(layout, size_px, 0.5, "A", None, 0)
    whole, shifted = painter.paint(0, 0), painter.paint(BLOCK_PX // 2, 0)
    assert whole is not None
    assert shifted is not None
    apart = cv2.absdiff(whole[:, BLOCK_PX // 2 :], shifted[:, : BLOCK_PX // 2])
    assert apart.max() <= 2  # fixed-point arithmetic rounds from each block's own origin
