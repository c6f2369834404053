"""What travels inside a page: values as whole numbers, and the lattice that the script reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histocnn.pages.viewer_values import (
    NOT_SCORED,
    OWN_NOVELTY,
    OWN_SCORE,
    STEPS,
    cells,
    lattice,
    rows,
    steps,
)
from histocnn.patches.grid import build_grid
from histocnn.regions.field import sample, under
from histocnn.scores.scored import ScoredSlide
from tests.score_files import random_scores

NAMES = ("normal", "tumour")


def slide_of(overlap_px: int) -> ScoredSlide:
    grid = build_grid((400, 320), (0.5, 0.5), patch_px=80, mpp=0.5, overlap_px=overlap_px)
    return ScoredSlide("a", grid, random_scores(len(grid)), NAMES)


def test_the_same_scores_give_the_same_values() -> None:
    """Scores travel as whole numbers of 1/65534: the largest error is half of that."""
    values = np.array([0, 1, 0.5, np.nan, 1 / 3], np.float32)
    assert steps(values).tolist() == [0, STEPS, 32767, NOT_SCORED, 21845]


def test_rows_are_the_patches_with_their_labels() -> None:
    slide = slide_of(0)
    assert "label" not in rows(slide)
    labels = np.arange(len(slide.grid)) % 3 - 1
    found = rows(replace(slide, labels=labels, label_names=("a", "b")))
    assert found["label"].tolist() == labels.tolist()
    assert found["at"].tolist() == list(range(20))
    assert found["s1"].tolist() == steps(slide.scores[:, 1]).tolist()


def test_cells_are_those_that_hold_anything() -> None:
    slide = slide_of(0)
    scores = slide.scores.copy()
    scores[3] = np.nan
    novelty = np.full(20, np.nan, np.float32)
    assert cells(replace(slide, scores=scores))["at"].tolist() == [*range(3), *range(4, 20)]
    novelty[3] = 50
    found = cells(replace(slide, scores=scores, novelty=novelty))
    assert found["at"].tolist() == list(range(20))
    assert found["s0"][3] == NOT_SCORED
    assert found["novelty"][3] == STEPS // 2


def test_between_the_lattices_cells_lies_what_pictures_show() -> None:
    """Two by two of its values around any place, by hand, are `sample` of the raster there."""
    slide = slide_of(60)
    scores = slide.scores.copy()
    scores[::3] = np.nan
    scores[60:180] = np.nan  # more rows than a patch is high
    slide = replace(
        slide, scores=scores, novelty=np.linspace(0, 100, len(scores), dtype=np.float32)
    )
    found, (height, width) = lattice(slide), slide.grid.shape
    laid = np.full(((height + 2) * (width + 2), 3), np.nan)
    for column, name in enumerate(("s0", "s1", "novelty")):
        laid[found["at"], column] = found[name] / STEPS
    laid = laid.reshape(height + 2, width + 2, 3)
    own = np.zeros((height + 2) * (width + 2), int)
    own[found["at"]] = found["own"]
    own = own.reshape(height + 2, width + 2)
    novelty = slide.novelty_raster()
    assert novelty is not None
    rng = np.random.default_rng(0)
    unscored = 0
    frames = slide.grid.stride_l0, slide.grid.size_l0, (1000, 800)  # 2.5 px a level-0 px
    scores = [sample(slide.raster()[..., index], *frames) for index in (0, 1)]
    between, known = sample(novelty, *frames), under(~np.isnan(slide.raster()[..., 0]), *frames)
    for i, j in rng.integers(0, (1000, 800), (500, 2)):
        x, y = (i + 0.5) / 2.5, (j + 0.5) / 2.5
        across, down = np.array([x, y]) / slide.grid.stride_l0
        col, row = int(across + 0.5), int(down + 0.5)
        u, v = across + 0.5 - col, down + 0.5 - row
        square = laid[row : row + 2, col : col + 2]
        value = np.array([1 - v, v]) @ np.einsum("rcn,c->rn", square, np.array([1 - u, u]))
        bits = own[int(down) + 1, int(across) + 1]
        assert bool(bits & OWN_SCORE) == known[j, i]
        assert bits & OWN_NOVELTY
        unscored += not bits & OWN_SCORE
        if bits & OWN_SCORE:
            assert value[:2] == pytest.approx([each[j, i] for each in scores], abs=3e-5)
        assert value[2] == pytest.approx(between[j, i], abs=3e-5)
    assert 0 < unscored < 250


def test_a_slide_without_a_scored_patch_has_no_cells() -> None:
    slide = slide_of(60)
    empty = replace(slide, scores=np.full_like(slide.scores, np.nan))
    assert len(lattice(empty)["at"]) == 0
