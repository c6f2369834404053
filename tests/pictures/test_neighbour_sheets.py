"""Neighbour sheets: who is shown, whose pixels, and what happens where a slide is gone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.errors import FeaturesError
from histocnn.patches.patches import FilePatches
from histocnn.pictures.feature_map import draw_map
from histocnn.pictures.neighbour_sheets import (
    LARGEST,
    Line,
    Tile,
    _sheet,
    at_points,
    choose,
    draw_sheet,
    write_small,
)
from histocnn.reference.features import load
from tests.feature_files import write_features
from tests.grid_files import write_grid


def test_chooses_confident_unsure_and_novel_of_each_class() -> None:
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]], np.float32)
    novelty = np.array([10, 20, 99, 50], np.float32)
    lines = choose(scores, novelty, ["a", "b"], 1)
    assert lines == [
        Line(0, "a: most confident"),
        Line(1, "a: least confident"),
        Line(2, "a: most novel"),
        Line(3, "b: most confident"),
        Line(3, "b: least confident"),
        Line(3, "b: most novel"),
    ]
    assert choose(scores, novelty, ["a", "b"], 0) == []


def test_windows_that_show_nearly_the_same_are_shown_once() -> None:
    """Windows of 20 px, one every 5: of the surest ten, all about one place, the first is shown,
    then the surest of those a whole window away. Corners are whole pixels: 19 of them are a
    window of 19.6 px.
    """
    coords = np.array([[5 * i, 0] for i in range(10)] + [[64, 0], [64, 19], [100, 3]])
    sure = np.array([*np.linspace(0.99, 0.9, 10), 0.8, 0.7, 0.6], np.float32)
    scores = np.stack([sure, 1 - sure], axis=1)
    novelty = np.zeros(13, np.float32)

    def surest(count: int, footprint: float) -> list[int]:
        lines = choose(scores, novelty, ["a", "b"], count, (coords, (footprint, footprint)))
        return [line.row for line in lines if line.reason == "a: most confident"]

    assert surest(9, 20) == [0, 4, 8, 10, 12]
    assert surest(9, 19.6) == [0, 4, 8, 10, 11, 12]
    assert surest(2, 20) == [0, 4]
    assert surest(13, 5) == list(range(13))


def test_a_point_finds_the_patch_it_lies_in() -> None:
    coords = np.array([[0, 0], [56, 0], [0, 56], [56, 56]])
    lines, missed = at_points(coords, (56.0, 56.0), [(55, 56), (56, 55), (500, 500)])
    assert missed == [(500, 500)]
    assert lines == [Line(2, "at (55, 56)"), Line(1, "at (56, 55)")]


@pytest.mark.parametrize("slide_is_gone", [False, True])
def test_pixels_are_the_patches_and_figures_outlive_them(
    tmp_path: Path, slide_is_gone: bool
) -> None:
    grid = write_grid(tmp_path, "s1")
    query = load([write_features(tmp_path / "q" / "s1.h5", like=grid)])
    other = write_grid(tmp_path / "other", "s2")
    reference = load([write_features(tmp_path / "r" / "s2.h5", like=other)])
    if slide_is_gone:
        (tmp_path / "other" / "slides" / "s2.tiff").unlink()
    n = len(query)
    arrays = {
        "scores": np.full((n, 2), 0.5, np.float32),
        "novelty": np.zeros(n, np.float32),
        "neighbours": np.stack([np.zeros((n, 2)), np.full((n, 2), [3, 4])], -1).astype(np.int32),
        "neighbour_labels": np.tile([0, 1], (n, 1)),
        "distances": np.ones((n, 2), np.float32),
    }
    patches, source = FilePatches(query.files[0]), FilePatches(reference.files[0])
    draw_sheet(
        tmp_path / "sheet.png", [Line(7, "here")], (query, patches), (reference, [source]), arrays
    )
    picture = cv2.imread(str(tmp_path / "sheet.png"))[..., ::-1]
    side = picture.shape[1] // 3
    for column, (origin, row) in enumerate(((patches, 7), (source, 3), (source, 4))):
        tile = picture[:, column * side : (column + 1) * side]
        colourful = (np.ptp(tile.astype(int), axis=2) > 40).mean()
        if slide_is_gone and column:
            assert colourful < 0.1  # white with a reason, in the frame of its class
        else:
            mean = origin.patch(row).reshape(-1, 3).mean(0)
            shown = tile[np.ptp(tile.astype(int), axis=2) > 40].mean(0)
            np.testing.assert_allclose(shown, mean, atol=40)


def test_a_sheet_of_many_lines_is_under_two_megabytes_and_bears_its_stamp(tmp_path: Path) -> None:
    """Noise is the worst a PNG can be given: 30 lines of nine tiles shrink until they fit."""
    rng, red = np.random.default_rng(0), np.array([213, 94, 0], np.uint8)
    words = ["tumour", "distance 0.1", "s1", "x 1"]
    noise = [rng.integers(0, 256, (150, 150, 3), np.uint8) for _ in range(270)]
    tiles = [Tile(pixels, red, words) for pixels in noise]
    tile = tiles[0]
    whole = _sheet([[tile] * 9] * 2, 150, 112.0, "")
    stamped = _sheet([[tile] * 9] * 2, 150, 112.0, "same patient in training")
    assert (stamped[-30:] < 200).sum() > (whole[-30:] < 200).sum()
    # Half of a tile's 112 µm at most: 50 µm are 67 of its 150 px.
    black = (whole[-42:] < 30).all(axis=2).sum(axis=1).max()
    assert black == round(50 / 112 * 150)
    path = tmp_path / "a.png"
    write_small(path, [tiles[first : first + 9] for first in range(0, 270, 9)], 112.0, "")
    assert path.stat().st_size <= LARGEST
    assert cv2.imread(str(path)).shape[1] < whole.shape[1]


def test_map_of_too_few_is_refused(tmp_path: Path) -> None:
    few = load([write_features(tmp_path / "f.h5", n=2)])
    with pytest.raises(FeaturesError, match="a map of 2 patches"):
        draw_map(few, few, tmp_path / "map.png")
