from __future__ import annotations

import re

import pytest

from histocnn.errors import UsageError
from histocnn.searching.options import (
    FeatureOptions,
    SearchOptions,
    check_metric,
    direction_of,
    nearest,
    section,
)


def test_a_section_is_its_dataclass_with_what_is_given():
    found = section("search", SearchOptions, {"trials": 7, "space": {"a": [1]}, "prune": False})
    assert found == SearchOptions(space={"a": [1]}, trials=7, prune=False)
    assert section("features", FeatureOptions, {"c": 2}).c == 2.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trails": 3}, "search.trails is no option. Did you mean search.trials?"),
        ({"trials": 0}, "--search.trials 0 is not a whole number above 0"),
        ({"sampler": "bayes"}, "Use 'grid', 'random', 'tpe'|grid, random, tpe"),
        ([1], "search \\[1\\] is no section"),
    ],
)
def test_what_cannot_be_is_refused(given, said):
    with pytest.raises(UsageError, match=said):
        section("search", SearchOptions, given)


def test_a_metric_that_does_not_exist_is_refused_and_the_nearest_offered():
    for metric in ("macro_auroc", "balanced_accuracy", "brier", "auroc:tumour"):
        check_metric(metric)
    with pytest.raises(UsageError, match=re.escape("balanced_acuracy is no figure. Did you mean")):
        check_metric("balanced_acuracy")
    with pytest.raises(UsageError, match="auroc is no figure"):
        check_metric("auroc")  # of one class, or the mean over all


def test_less_is_better_of_errors_alone():
    assert direction_of(SearchOptions(metric="ece")) == "minimize"
    assert direction_of(SearchOptions(metric="ece", direction="maximize")) == "maximize"


def test_where_nothing_is_near_all_are_named():
    assert nearest("zzz", ["alpha", "beta"]) == "There are alpha, beta."
