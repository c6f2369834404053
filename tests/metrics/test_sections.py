from __future__ import annotations

import pytest

from histocnn.metrics.sections import DeLong, Figure, Gap, Interval


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure(0.91234, 0.8714, 0.94), "0.912 (0.871 to 0.940)"),
        (Figure(1, None, None), "1.000"),
        (Figure(None, None, None), "undefined"),
    ],
)
def test_a_figure_is_written_one_way(figure, text):
    assert str(figure) == text


@pytest.mark.parametrize(
    ("groups", "unit", "text"),
    [(1, "patients", " of 1 patient"), (1200, "slides", " of 1,200 slides"), (0, "slides", "")],
)
def test_what_an_interval_rests_on(groups, unit, text):
    assert Interval(unit, groups, 0, 0, "").of == text


def test_a_difference_and_a_second_interval_are_figures_too():
    assert Gap(0.9, 0.8, 0.1, 0.05, 0.2, 0.01).change == Figure(0.1, 0.05, 0.2)
    assert DeLong(0.7, 1.0).around(Figure(0.9, 0.8, 0.95)) == Figure(0.9, 0.7, 1.0)
