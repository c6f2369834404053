"""A class over a slide, drawn; where it cannot be, a note."""

from __future__ import annotations

from pathlib import Path

from histocnn.inspection.slide_pictures import over_slide
from histocnn.patches.patches import open_patches
from tests.inspection.looked import looking_at, sliding_model, subject_of, tiled


def test_score_and_attribution_lie_beside_the_slide(tmp_path: Path) -> None:
    looking = looking_at(sliding_model(tmp_path))
    (facts,) = over_slide(looking, open_patches(tiled(tmp_path)[0]), "s1", 1)
    assert facts.of_class == "tumour"
    assert 0 <= facts.score[0] < facts.score[1] <= 1
    assert facts.attribution[0] < facts.attribution[1]
    assert looking.pictures[facts.picture].shape[1] == 3 * 480 + 2 * 6


def test_a_network_that_does_not_slide_is_said_and_no_picture_made(tmp_path: Path) -> None:
    looking = looking_at(subject_of(tmp_path, mpp=1.0, patch_px=None))
    assert over_slide(looking, open_patches(tiled(tmp_path)[0]), "s1", 1) == ()
    assert "No map over s1" in looking.notes[0]
    assert "slide_s1_1.png" not in looking.pictures
