"""Rows kept from queries: those that a look at every row finds."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.errors import FeaturesError
from histocnn.reference.excluded import Exclusions, tiles


def test_the_rows_of_a_patient_or_slide() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(-1, 6, (200, 2))
    exclusions = Exclusions(groups)
    for group in rng.integers(-1, 7, (60, 2)):
        wanted = ((groups == group) & (group != -1)).any(1)
        assert exclusions.of(group).tolist() == np.flatnonzero(wanted).tolist()


def test_queries_that_are_kept_from_the_same_stand_together() -> None:
    groups = np.array([[0, 0], [0, 1], [1, 2], [-1, 3]])
    asked = np.array([[1, -1], [-1, -1], [0, -1], [1, -1], [5, 9]])
    parts = Exclusions(groups).parts(asked, None, 2)
    assert [(p.queries.tolist(), p.excluded.tolist()) for p in parts] == [
        ([2], [0, 1]), ([0, 3], [2]), ([1, 4], []),
    ]  # fmt: skip
    assert sum(len(part.queries) for tile in tiles(parts, 2) for part in tile) == 5
    assert max(sum(len(part.queries) for part in tile) for tile in tiles(parts, 2)) == 2
    with pytest.raises(FeaturesError, match="2 reference rows that remain after exclusion"):
        Exclusions(groups).parts(asked, None, 3)
    with pytest.raises(FeaturesError, match="3 reference rows that remain after exclusion"):
        Exclusions(groups).parts(asked[[1]], np.array([2]), 4)
