"""Detections: local maxima by hand, and other people's tables."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.errors import MetricError
from histocnn.metrics.detections import detections, read_detections


def test_non_maximum_suppression_worked_out_by_hand():
    # At 0.5 µm per pixel 100 px are 50 µm. The best point silences the one 50 µm away, not the one
    # at 60; that one silences its own neighbour, which is 100 µm from the best.
    xy = np.array([[0, 0], [100, 0], [120, 0], [200, 0], [500, 0]])
    result = detections(xy, [0.9, 0.8, 0.7, 0.6, 0.1], (0.5, 0.5), radius_um=50, min_prob=0.2)
    assert result.prob.tolist() == [0.9, 0.7]
    assert result.xy_l0.tolist() == [[0, 0], [120, 0]]


def test_suppression_measures_in_um_per_axis_and_skips_unscored_patches():
    xy = np.array([[0, 0], [0, 100], [100, 0], [9, 9]])
    result = detections(xy, [0.9, 0.8, 0.7, np.nan], (0.25, 1.0), radius_um=50, min_prob=0)
    assert result.prob.tolist() == [0.9, 0.8]
    assert detections(xy, [np.nan] * 4, (1, 1), radius_um=1, min_prob=0).prob.size == 0


def test_suppression_reaches_as_far_as_its_radius_wherever_the_points_lie():
    # Neighbours are 117.6 µm apart, as is the radius; in binary some come out a little further.
    for overlap in (0, 37, 56):
        column = np.arange(60) + 0.5
        xy = np.stack([column * (112 - overlap) * 1.05 / 0.243, np.full(60, 100.0)], axis=1)
        radius_um = (112 - overlap) * 1.05
        prob = np.linspace(0.9, 0.3, 60)
        result = detections(xy, prob, (0.243, 0.243), radius_um=radius_um, min_prob=0)
        assert result.prob.tolist() == prob[::2].tolist()


def test_other_peoples_detections_are_read(tmp_path):
    path = tmp_path / "test_001.csv"
    path.write_text("p,x,y\n0.5,100,200.5\n\n1e-2, 3, 4\n")
    result = read_detections(path)
    assert result.prob.tolist() == [0.5, 0.01]
    assert result.xy_l0.tolist() == [[100, 200.5], [3, 4]]
    path.write_text("")
    assert read_detections(path).xy_l0.shape == (0, 2)


@pytest.mark.parametrize("text", ["p,x,y\n0.5,high,2\n", "p,x,y\n0.5,1\n", "0.5,nan,2\n"])
def test_detections_that_are_no_table_are_refused_with_their_line(tmp_path, text):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(MetricError, match=r"x\.csv"):
        read_detections(path)
