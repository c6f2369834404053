from __future__ import annotations

from collections.abc import Mapping

import pytest

from histocnn.cohort.sheet import SlideEntry, read_cohort
from histocnn.evaluation.judged import Judged, judge
from histocnn.scores.scorefile import open_scores
from tests.stages.judged_cohort import Cohort, write_cohort


@pytest.fixture(scope="package")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Eight slides of a patient each, every other one with a tumour."""
    return write_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="package")
def entries(cohort: Cohort) -> Mapping[str, SlideEntry]:
    return {entry.slide_id: entry for entry in read_cohort(cohort.slides)}


@pytest.fixture(scope="package")
def judged(cohort: Cohort, entries: Mapping[str, SlideEntry]) -> Judged:
    return judge(open_scores(cohort.scores), entries)
