"""Crossings are counted, and no further than it matters."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import AnnotationError
from histocnn.regions.annotations import read_annotations
from histocnn.regions.crossings import count_crossings

EIGHT = np.array([[0, 0], [10, 10], [10, 0], [0, 10]], float)
SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)


def test_an_eight_crosses_itself_once_and_a_square_never() -> None:
    assert count_crossings([EIGHT], 10) == 1
    assert count_crossings([SQUARE], 10) == 0
    assert count_crossings([SQUARE, SQUARE + 5], 10) == 2


def test_a_star_of_n_points_crosses_itself_n_times() -> None:
    angle = np.arange(5) * 4 * np.pi / 5
    assert count_crossings([np.stack([np.cos(angle), np.sin(angle)], axis=1)], 10) == 5


def test_counting_ends_where_it_no_longer_matters() -> None:
    points = np.random.default_rng(0).uniform(0, 1e4, (3000, 2))
    start = time.perf_counter()
    assert count_crossings([points], 1000) > 1000
    assert time.perf_counter() - start < 10


def write(path: Path, points: np.ndarray) -> Path:
    geometry = {"type": "Polygon", "coordinates": [points.tolist()]}
    properties = {"classification": {"name": "a"}}
    path.write_text(json.dumps({"type": "Feature", "geometry": geometry, "properties": properties}))
    return path


def test_a_tangle_is_refused_at_once_and_said(tmp_path: Path) -> None:
    """3,000 corners at random ran for more than 90 s."""
    points = np.random.default_rng(0).uniform(0, 1e4, (3000, 2))
    start = time.perf_counter()
    with pytest.raises(AnnotationError, match=r"feature 1 crosses itself so often .* Draw its"):
        read_annotations(write(tmp_path / "a.geojson", points), (10_000, 10_000))
    assert time.perf_counter() - start < 30


def test_a_hand_that_trembled_is_repaired(tmp_path: Path) -> None:
    angle = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    radius = 4000 + np.random.default_rng(0).normal(0, 8, len(angle))
    points = 5000 + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    points[::7] = points[::7][:, :] + np.random.default_rng(1).normal(0, 9, (len(points[::7]), 2))
    drawn = read_annotations(write(tmp_path / "a.geojson", points), (10_000, 10_000))
    assert drawn.notes == ("feature 1 crosses itself and was repaired",)
    assert drawn.region("a").area == pytest.approx(np.pi * 4000**2, rel=0.01)
