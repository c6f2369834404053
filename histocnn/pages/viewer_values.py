"""Scores as columns that travel inside a slide's page: whole numbers of half the bytes.

A share from 0 to 1 is a whole number from 0 to `STEPS`, and `NOT_SCORED` where it is not known.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.patches.grid import PatchGrid
from histocnn.regions.field import extended
from histocnn.scores.scored import ScoredSlide

Columns: TypeAlias = dict[str, NDArray[Any]]

NOT_SCORED = 65535
STEPS = 65534  # of a probability from 0 to 1
OWN_SCORE, OWN_NOVELTY = 1, 2  # bits of `own`


def is_laid_over(grid: PatchGrid) -> bool:
    """Whether patches are larger than cells, and no windows."""
    return grid.overlap_px > 0 and grid.window is None


def rows(slide: ScoredSlide) -> Columns:
    """A row per patch: the cell `at` which it begins, its scores, its novelty and its label."""
    row, column = slide.grid.cell.T
    at = (row * slide.grid.shape[1] + column).astype(np.uint32)
    found = _columns(at, slide.scores, None if slide.novelty is None else slide.novelty / 100)
    if slide.label_names:
        found["label"] = slide.labels.astype(np.int16)
    return found


def cells(slide: ScoredSlide) -> Columns:
    """A row per cell that holds anything: its place `at` in the raster, its values."""
    scores, novelty = slide.raster(), slide.novelty_raster()
    known = ~np.isnan(scores).any(axis=2)
    if novelty is not None:
        known |= ~np.isnan(novelty)
    at = np.flatnonzero(known).astype(np.uint32)
    return _columns(at, scores[known], None if novelty is None else novelty[known])


def lattice(slide: ScoredSlide) -> Columns:
    """What `regions.field.sample` reads between: the raster with a cell more on each side.

    A row per cell that has values of its `own` (a sum of `OWN_SCORE` and `OWN_NOVELTY`) or is
    beside one that has: its place `at`, its values.
    """
    scores, novelty = slide.raster(), slide.novelty_raster()
    own = np.pad(~np.isnan(scores).any(axis=2), 1).astype(np.uint8) * OWN_SCORE
    if novelty is not None:
        own += np.pad(~np.isnan(novelty), 1).astype(np.uint8) * OWN_NOVELTY
    read = cv2.dilate(own, np.ones((3, 3), np.uint8)) > 0
    at = np.flatnonzero(read).astype(np.uint32)
    known = None if novelty is None else extended(novelty)[read]
    return _columns(at, extended(scores)[read], known) | {"own": own[read]}


def _columns(
    at: NDArray[np.uint32], scores: NDArray[np.float32], novelty: NDArray[np.floating] | None
) -> Columns:
    found: Columns = {"at": at}
    for index in range(scores.shape[1]):
        found[f"s{index}"] = steps(scores[:, index])
    if novelty is not None:
        found["novelty"] = steps(novelty)
    return found


def steps(values: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Shares as whole numbers, exact to 1e-5; NaN as `NOT_SCORED`."""
    known = np.isfinite(values)
    whole = np.rint(np.clip(np.where(known, values, 0), 0, 1) * STEPS)
    return np.where(known, whole, NOT_SCORED).astype(np.uint16)
