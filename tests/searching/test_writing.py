from __future__ import annotations

from histocnn.metrics.sections import Figure
from histocnn.searching.results import Row
from histocnn.searching.writing import Result, result_of, words
from tests.searching.configurations import plan_of

ROWS = [
    Row(0, "complete", 0.8, (0.7, 0.9), {"features.c": 0.001}),
    Row(1, "complete", 0.79, (0.72, 0.86), {"features.c": 0.01}),
    Row(2, "failed", None, (), {"features.c": 0.1}, reason="nan"),
]


def test_what_came_of_it_is_said_with_its_noise_and_optimism():
    result = Result(
        "accuracy", 0, {"features.c": 0.001}, 0.8, (0.7, 0.9), (1,),
        Figure(0.75, 0.7, 0.8), Figure(0.74, 0.69, 0.79), Figure(0.01, -0.02, 0.04), 0.4,
    )  # fmt: skip
    assert words(result, ROWS, ["features.c"]) == [
        "3 trials: 2 complete, 1 failed.",
        "Best on validation: trial 0 with features.c = 0.001: accuracy 0.800 (folds 0.700, 0.900).",
        "1 other trial is within a standard error of it, fold by fold: between these the search "
        "has not decided.",
        "On test, looked at once: 0.750 (0.700 to 0.800); the default's: 0.740 (0.690 to 0.790).",
        "Validation minus test: +0.050, the optimism of having chosen on validation, and chance.",
        "Best minus default on test, paired by patient: 0.010 (-0.020 to 0.040), p = 0.400.",
    ]


def test_a_search_that_nobody_tested_says_less(tmp_path):
    result = result_of(plan_of(tmp_path), ROWS, ROWS[0], None)
    assert result.near == (1,)
    assert len(words(result, ROWS, ["features.c"])) == 3
