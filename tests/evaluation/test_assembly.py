from __future__ import annotations

import pytest

from histocnn.errors import UsageError
from histocnn.evaluation.assembly import evaluated, read_entries
from histocnn.evaluation.options import Inputs, Options, Resampling, StageOptions

FEW = Resampling(20)


@pytest.fixture(scope="module")
def found(cohort):
    return evaluated(Options(Inputs(cohort.scores, cohort.slides), resampling=FEW))


def test_every_section_that_there_is_truth_for(found) -> None:
    report = found.report
    assert report.patch.n == 2400
    assert (report.slide.positive, report.froc.lesions) == (4, 4)
    assert set(report.centres) == {"A", "B"}
    assert (report.comparison, report.camelyon17, report.k_curve) == (None, None, ())
    assert report.seen == {"no": 2400, "unknown": 0, "val": 0, "train": 0}
    assert (report.title, report.score_files) == ("scores", 8)


def test_without_slides_csv_there_are_patches_only(cohort) -> None:
    report = evaluated(Options(Inputs(cohort.scores), resampling=FEW)).report
    assert report.patch.n == 2400
    assert (report.slide, report.froc, report.notes) == (None, None, ())


def test_a_comparison_bears_both_names(cohort) -> None:
    inputs = Inputs(cohort.scores, compare=cohort.scores)
    comparison = evaluated(Options(inputs, resampling=FEW)).report.comparison
    assert (comparison.first, comparison.second) == ("scores", "scores")


def test_stages_are_fitted_only_where_there_are_any(cohort) -> None:
    options = Options(
        Inputs(cohort.scores, cohort.slides), resampling=FEW, stages=StageOptions(fit=cohort.scores)
    )
    with pytest.raises(UsageError, match="--fit_stages without CAMELYON17's classes"):
        evaluated(options)


def test_rows_of_a_split(cohort) -> None:
    assert len(read_entries(cohort.slides, "test")) == 7
    assert read_entries(None, None) == {}
    with pytest.raises(UsageError, match=r"needs slides\.csv"):
        read_entries(None, "test")
