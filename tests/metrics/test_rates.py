from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from benchmarks.transfer import pair
from histocnn.errors import MetricError
from histocnn.metrics.rates import KEPT, LOST, RISEN, TOO_FEW, Rate, change, rate


def test_the_variance_is_that_of_a_mean_where_patients_have_as_many_patches() -> None:
    shares = np.array([0.2, 0.5, 0.9, 0.6])
    found = rate(50 * shares, np.full(4, 50))
    assert (found.hits, found.of, found.groups) == (110, 200, 4)
    assert found.variance == pytest.approx(shares.var(ddof=1) / 4)


def test_patients_of_other_sizes_by_hand() -> None:
    """10 of 20 and 30 of 40: 2/3; residuals -10/3 and 10/3 of a mean of 30; (2 × (1/9)²) / 2."""
    assert rate([10, 30, 0], [20, 40, 0]).variance == pytest.approx(1 / 81)


def test_patients_that_agree_by_chance_are_not_certain() -> None:
    """100 of 100: as 102 of 104 independent patches."""
    assert rate([20] * 5, [20] * 5).variance == pytest.approx(102 / 104 * 2 / 104 / 100)
    assert rate([20], [20]).variance is None
    assert rate([20, 20], [20, 20], known=False).groups == 0


def test_a_change_is_welchs() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(30, 50, 7), rng.integers(10, 50, 12)
    found = change(*(rate(own, np.full(len(own), 50)) for own in (first, second)))
    bounds = ttest_ind(second / 50, first / 50, equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high))
    assert found.difference == pytest.approx(second.mean() / 50 - first.mean() / 50)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (Rate(900, 1000, 60, 0.0003), Rate(750, 1000, 60, 0.0003), LOST),
        (Rate(750, 1000, 60, 0.0003), Rate(900, 1000, 60, 0.0003), RISEN),
        (Rate(900, 1000, 60, 0.0003), Rate(890, 1000, 60, 0.0003), KEPT),
        (Rate(900, 1000, 5, 0.003), Rate(800, 1000, 5, 0.003), TOO_FEW),
        (Rate(900, 1000, 1), Rate(100, 1000, 60, 0.0003), TOO_FEW),
        (Rate(0, 0, 0), Rate(100, 1000, 60, 0.0003), TOO_FEW),
    ],
)
def test_verdicts(before: Rate, after: Rate, verdict: str) -> None:
    assert change(before, after).verdict == verdict


def test_few_patients_that_look_alike_have_no_power() -> None:
    """Six on each side, all at 95 %: another six may differ by what patients differ by."""
    found = change(rate([19] * 6, [20] * 6), rate([19] * 6, [20] * 6))
    assert found.power is not None
    assert found.power < 0.8
    assert found.verdict == TOO_FEW


def test_what_is_no_share_is_refused() -> None:
    with pytest.raises(MetricError, match="5 of 4 patches"):
        Rate(5, 4, 1)


def shares(pairs: int) -> tuple[float, float]:
    """How often a loss of 15 points is called, and one where there is none; 60 patients a side."""
    rng = np.random.default_rng(14)
    called = [
        np.mean([pair(loss, 60, rng).verdict == LOST for _ in range(pairs)]) for loss in (0.15, 0)
    ]
    return float(called[0]), float(called[1])


def test_a_loss_is_found_and_none_invented() -> None:
    found, invented = shares(50)
    assert found >= 0.9
    assert invented <= 0.10  # of 50 pairs, where 2.5 % are expected: 6 or more once in 700 times


@pytest.mark.slow
def test_a_loss_is_found_and_none_invented_in_500_pairs() -> None:
    found, invented = shares(500)
    assert found >= 0.9
    assert invented <= 0.05
