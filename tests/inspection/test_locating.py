"""How right maps are on crops of drawn truth."""

from __future__ import annotations

from pathlib import Path

from histocnn.inspection.locating import how_right
from histocnn.patches.patches import open_patches
from tests.inspection.looked import looking_at, sliding_model, tiled


def test_crops_of_which_the_class_covers_some_are_scored(tmp_path: Path) -> None:
    grid, slides = tiled(tmp_path)
    looking = looking_at(sliding_model(tmp_path))
    found = how_right(looking, open_patches(grid, slides=slides), 1, ("grad_cam", "occlusion"))
    assert [row.method for row in found] == ["grad_cam", "chance", "the centre pixel"]
    chance = found[1]
    assert chance.images == 3  # of the others less than 5 % or more than 40 %
    assert 0.05 <= chance.coverage <= 0.40
    assert chance.gain == 0
    assert looking.notes == []


def test_without_an_annotation_of_the_class_there_is_nothing_to_score(tmp_path: Path) -> None:
    grid, slides = tiled(tmp_path)
    looking = looking_at(sliding_model(tmp_path))
    assert how_right(looking, open_patches(grid), 1, ("grad_cam",)) == ()
    assert how_right(looking, open_patches(grid, slides=slides), 0, ("grad_cam",)) == ()
