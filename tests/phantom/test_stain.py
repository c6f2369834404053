"""What phantoms are painted with: Beer and Lambert's law, textures of known means, whole cells."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.phantom.cells import EPITHELIUM, LYMPHOCYTE, TUMOUR
from histocnn.phantom.stain import (
    BLOCK_PX,
    GLASS_RGB,
    GRAIN,
    LABS,
    SHAPES,
    STAIN_PER_OD,
    TURNS,
    colour_table,
    develop,
    stains_of,
    stamps,
    textures,
)


@pytest.mark.parametrize("lab", LABS)
def test_a_stain_absorbs_as_beer_and_lambert_say(lab: str) -> None:
    vector_h, vector_e, gain_h, gain_e = LABS[lab]
    table = colour_table(lab, 1.0, 1.0)
    stains = np.array([[[0, 0], [0, 125], [50, 0], [50, 100]]], np.uint8)  # eosin, haematoxylin
    expected = [
        np.array(GLASS_RGB)
        * np.exp(
            -(h * gain_h * np.array(vector_h) + e * gain_e * np.array(vector_e)) / STAIN_PER_OD
        )
        for e, h in stains[0]
    ]
    assert np.abs(develop(stains, table)[0] - np.array(expected)).max() <= 0.5


def test_numbered_laboratories_are_each_another_within_the_range_of_the_named() -> None:
    known = np.array([[*h, *e, *gains] for h, e, *gains in LABS.values()])
    drawn = np.array([np.hstack(stains_of(str(number)) or ()) for number in range(1, 21)])
    assert ((known.min(axis=0) <= drawn) & (drawn <= known.max(axis=0))).all()
    assert len(np.unique(drawn, axis=0)) == 20
    assert stains_of("7") == stains_of("7")
    assert [stains_of(name) for name in ("Z", "-1", "", "²")] == [None] * 4


def test_more_of_a_stain_is_darker_in_every_channel() -> None:
    table = colour_table("A", 1.0, 1.0)
    ramp = np.stack([np.zeros(256), np.arange(256)], axis=-1)[None].astype(np.uint8)
    assert (np.diff(develop(ramp, table)[0].astype(int), axis=0) <= 0).all()


def test_textures_cover_a_block_and_repeat() -> None:
    margin = 32
    texture = textures(1.0, margin)
    assert {each.shape for each in texture.values()} == {(BLOCK_PX + 2 * margin,) * 2}
    for each in texture.values():
        assert np.array_equal(each[:, :1024], each[:, 1024:2048])  # blocks meet without a seam
        assert np.array_equal(each[:1024], each[1024:2048])
    assert texture["grain"].mean() == pytest.approx(GRAIN, abs=0.1)
    assert texture["cytoplasm_e"].mean() == pytest.approx(52, abs=0.5)
    assert textures(1.0, margin) is texture


def test_stamps_hold_whole_cells_and_a_tumours_are_the_largest() -> None:
    cells = stamps(0.5)
    for shapes in cells.values():
        assert (len(shapes), {len(turns) for turns in shapes}) == (SHAPES, {TURNS})
        for stamp in (turn for turns in shapes for turn in turns):
            rim = max(stamp[[0, -1]].max(), stamp[:, [0, -1]].max())
            assert rim <= 0.2 * stamp.max()  # the longest cells end in a faint tip
    area = {
        kind: np.mean([np.count_nonzero(t[0] > 0.4 * t[0].max()) for t in cells[kind]]) * 0.5**2
        for kind in cells
    }
    # Of the ovals that NUCLEI names, in µm²: pi / 4 × 8.4 × 5.4 and so on; sizes vary.
    assert area[EPITHELIUM] == pytest.approx(35.6, rel=0.2)
    assert area[LYMPHOCYTE] == pytest.approx(27.3, rel=0.2)
    assert area[TUMOUR] > 1.5 * area[EPITHELIUM]


def test_half_a_turn_is_nearly_the_same_cell() -> None:
    turns = stamps(0.5)[EPITHELIUM][0]
    first, last = turns[0].astype(int), turns[-1].astype(int)
    quarter = turns[TURNS // 2].astype(int)
    assert np.abs(first - last).mean() < np.abs(first - quarter).mean()
