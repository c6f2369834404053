"""A contact sheet: all patches, eight in a row, in their order."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.pictures.contact import SIDE_PX, contact_sheet

COLOURS = [(20 * i, 255 - 20 * i, 128) for i in range(10)]


@pytest.mark.parametrize("count", [1, 8, 10])
def test_patches_are_shown_in_their_order(tmp_path: Path, count: int) -> None:
    patches = [(np.full((32, 32, 3), c, np.uint8), ["a line", "another"]) for c in COLOURS[:count]]
    contact_sheet(patches, tmp_path / "a.png", title="what it is")
    sheet = cv2.imread(str(tmp_path / "a.png"))[..., ::-1]
    centres = []
    for colour in COLOURS[:count]:
        y, x = np.nonzero((sheet == colour).all(axis=-1))
        assert len(y) > 2_000
        centres.append((y.mean(), x.mean()))
    rows = [centres[:8], centres[8:]]
    for row in rows:
        assert np.ptp([y for y, _ in row] or [0]) < 2
        assert (np.diff([x for _, x in row]) > 0).all()
    if rows[1]:
        assert rows[1][0][0] > rows[0][0][0]


def test_a_large_patch_is_made_small_and_words_stand_above_it(tmp_path: Path) -> None:
    patches = [(np.full((400, 200, 3), (200, 0, 0), np.uint8), ["above"])]
    contact_sheet(patches, tmp_path / "a.png", title="a title longer than its only patch is wide")
    sheet = cv2.imread(str(tmp_path / "a.png"))[..., ::-1].astype(int)
    rows, columns = np.nonzero((sheet == (200, 0, 0)).all(axis=-1))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (SIDE_PX, SIDE_PX // 2)
    assert (sheet[rows.min() - 12 : rows.min()].max(axis=2) < 100).any()  # the line
    assert (sheet[:20].max(axis=2) < 100)[:, SIDE_PX + 20 :].any()  # the end of the title
    assert (sheet[rows.max() + 1 :].max(axis=2) < 200).any()  # research use only
