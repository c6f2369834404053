from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.multiplicity import pair
from histocnn.errors import UsageError
from histocnn.metrics.multiplicity import corrected, holm
from histocnn.metrics.sections import ComparisonReport, Gap


def gap(p: float | None, difference: float = 0.1) -> Gap:
    return Gap(0.5, 0.5 - difference, difference, difference - 0.1, difference + 0.1, p)


def report(**figures: Gap) -> ComparisonReport:
    named = {key.replace("__", ":"): own for key, own in figures.items()}
    return ComparisonReport(100, "patients", "a", "b", named, "")


def test_holm_by_hand() -> None:
    """Sorted .005 × 4, .01 × 3, .03 × 2, .04 × 1: 0.02, 0.03, 0.06, and not less than before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]).tolist() == [1, 1]
    assert holm([]).tolist() == []


def test_the_others_count_only_where_the_primary_does() -> None:
    found = corrected(
        report(macro_auroc=gap(0.03), kappa=gap(0.002, 0.2), mcc=gap(0.04, 0.3), ece=gap(None))
    )
    assert found.primary == "macro_auroc"
    assert {key: own.p_corrected for key, own in found.figures.items()} == {
        "macro_auroc": None, "kappa": 0.03, "mcc": 0.04, "ece": None,
    }  # fmt: skip
    assert found.figures["kappa"].p == 0.002


def test_one_figure_under_two_names_counts_once() -> None:
    mirrored = replace(gap(0.01, -0.2), low=-0.3, high=-0.1)
    same = replace(gap(0.01, 0.2), low=0.1, high=0.3)
    found = corrected(report(macro_auroc=gap(0.001), auroc__n=same, auroc__t=mirrored))
    assert found.figures["auroc:t"].p_corrected == 0.01


def test_a_figure_that_is_not_there_is_refused_by_name() -> None:
    figures = report(macro_auroc=gap(0.1), auroc__t=gap(0.1, 0.2))
    assert corrected(figures, "auroc:t").primary == "auroc:t"
    with pytest.raises(UsageError, match=r"--primary auc: .* Name one of macro_auroc, .* auroc:t"):
        corrected(figures, "auc")


def test_too_few_replicates_for_many_figures_are_said() -> None:
    many = {f"f{i}": gap(0.002, 0.01 * i) for i in range(40)}
    found = corrected(report(macro_auroc=gap(0.002), **many), replicates=1000)
    assert "1,000 replicates cannot show a difference in the 40 other figures" in found.note
    assert corrected(report(macro_auroc=gap(0.002), **many), replicates=4000).note == ""


def test_without_p_values_there_is_nothing_to_correct() -> None:
    found = corrected(report(macro_auroc=gap(None), kappa=gap(None)))
    assert found.figures["kappa"].p_corrected is None


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_equal_models_differ_as_rarely_as_promised() -> None:
    """60 equal pairs: by any figure's own p many differ, after the correction at most 6.

    Of 60 pairs at 5 % there are 7 or more in 1 of 40 runs.
    """
    by_any, _, after = np.array([pair(seed, 500) for seed in range(60)]).sum(axis=0)
    assert by_any > 6
    assert after <= 6
