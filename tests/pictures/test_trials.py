from __future__ import annotations

import numpy as np
import pytest

from histocnn.pictures import trials as pictures
from histocnn.pictures.trials import Tried

RATE, NET = "model.learning_rate", "model.backbone"
TRIALS = [
    Tried(0, 0.6, (0.5, 0.7), {RATE: 1e-4, NET: "resnet18"}),
    Tried(2, 0.9, (0.8, 1.0), {RATE: 1e-2, NET: "lenet5"}),
    Tried(3, 0.7, (0.7, 0.7), {RATE: 1e-3}),
]


def test_the_course_shows_the_best_so_far_and_those_without_an_end():
    picture = pictures.history(TRIALS, [1], "accuracy", maximize=True)
    axes = picture.axes[0]
    steps = next(line for line in axes.lines if line.get_label() == "best so far")
    assert list(steps.get_ydata()) == [0.6, 0.9, 0.9]
    assert any(list(line.get_xdata()) == [1] for line in axes.lines)
    less = pictures.history(TRIALS, [], "brier", maximize=False)
    steps = next(line for line in less.axes[0].lines if line.get_label() == "best so far")
    assert list(steps.get_ydata()) == [0.6, 0.6, 0.6]


def test_numbers_of_several_decades_lie_by_their_logarithm_and_names_side_by_side():
    picture = pictures.parallel(TRIALS, [RATE, NET], "accuracy", maximize=True)
    lines = [
        np.asarray(line.get_ydata()) for line in picture.axes[0].lines if line.get_marker() == "o"
    ]
    worst, middle, best = lines  # the best lies on top
    assert worst == pytest.approx([0, 1, 0])  # lenet5, none, resnet18 … by letter
    assert middle == pytest.approx([0.5, 0.5, 1 / 3])
    assert best == pytest.approx([1, 0, 1])


def test_a_slice_is_of_the_trials_that_have_the_key():
    picture = pictures.slices(TRIALS, [RATE, NET], "accuracy")
    rate, net = picture.axes[:2]
    assert rate.get_xscale() == "log"
    assert len(net.collections[-1].get_offsets()) == 2


def test_the_folds_stand_beside_their_means_best_first():
    picture = pictures.spread(TRIALS, "accuracy", maximize=True)
    labels = [label.get_text() for label in picture.axes[0].get_yticklabels()]
    assert labels == ["trial 2", "trial 3", "trial 0"]
    assert TRIALS[1].sem == pytest.approx(0.1)
    assert Tried(0, 0.5, (0.5,), {}).sem == 0


def test_importances_are_bars_in_order():
    picture = pictures.importance({RATE: 0.8, NET: 0.2})
    assert [bar.get_width() for bar in picture.axes[0].patches] == [0.8, 0.2]
