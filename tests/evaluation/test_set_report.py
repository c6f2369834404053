"""Prediction sets of score files beside the truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histocnn.errors import StoreError
from histocnn.evaluation.assembly import evaluated
from histocnn.evaluation.judged import judge
from histocnn.evaluation.options import Inputs, Options, Resampling
from histocnn.evaluation.set_report import COMPARED, UNASKED, sets_report
from histocnn.evaluation.writing import summary
from histocnn.metrics.prediction_sets import SetReport
from histocnn.metrics.report import Report
from histocnn.pages.report import write_report
from histocnn.scores.scorefile import open_scores
from histocnn.storage import store
from tests.stages.judged_cohort import Cohort

FEW = Resampling(20)
SAID = {"confidence": 0.9, "unit": "patients", "patients": {"normal": 30, "tumour": 25}}


@pytest.fixture
def with_sets(cohort: Cohort, tmp_path: Path) -> Callable[..., Path]:
    """The cohort's scores with sets of the classes from 0.3 on; `said` of a slide may differ."""

    def make(drop: str = "", said: dict[str, Any] | None = None, **attributes: Any) -> Path:
        (tmp_path / "scores").mkdir()
        for file in open_scores(cohort.scores):
            found, own = store.read(file.path), store.attributes(file.path)
            if file.slide_id != drop:
                found["sets"] = found["scores"] >= 0.3
                own["conformal"] = SAID
            own |= attributes | (said or {} if file.slide_id == "slide_03" else {})
            store.write(tmp_path / "scores" / file.path.name, found, own)
        return tmp_path / "scores"

    return make


def section(folder: Path, match: dict[str, str] | None = None) -> SetReport | str:
    return sets_report(judge(open_scores(folder), match=match), FEW)


def test_coverage_is_that_of_the_stored_sets(with_sets) -> None:
    judged = judge(open_scores(with_sets()))
    found = sets_report(judged, FEW)
    assert isinstance(found, SetReport)
    own = judged.labels == 1
    shares = [
        (judged.scores[own & (judged.patient == i), 1] >= 0.3).mean()
        for i in np.unique(judged.patient[own])
    ]
    assert found.per_class["tumour"]["set_coverage"].value == pytest.approx(np.mean(shares))
    assert found.groups == {"normal": 8, "tumour": 4}
    assert found.promise.patients == {"normal": 30, "tumour": 25}


def test_classes_follow_their_names(with_sets) -> None:
    folder = with_sets(**{"scores.class_names": ["rest", "lesion"]},
                       conformal=SAID | {"patients": {"rest": 30, "lesion": 25}})  # fmt: skip
    found = section(folder, {"rest": "normal", "lesion": "tumour"})
    assert isinstance(found, SetReport)
    assert found.promise.patients == {"normal": 30, "tumour": 25}


def test_why_there_are_none_is_said(with_sets, cohort: Cohort, tmp_path: Path) -> None:
    assert section(cohort.scores) == UNASKED
    assert section(with_sets(drop="slide_02")) == "1 of 8 score files have no prediction sets"


def test_neighbours_have_nobody_to_calibrate_on(cohort: Cohort, tmp_path: Path) -> None:
    for file in open_scores(cohort.scores):
        own = store.attributes(file.path) | {"recipe": {"stage": "knn"}}
        store.write(tmp_path / file.path.name, store.read(file.path), own)
    assert section(tmp_path) == COMPARED


def test_sets_of_two_confidences_are_not_mixed(with_sets) -> None:
    folder = with_sets(said={"conformal": SAID | {"confidence": 0.8}})
    assert "not made by one model at one confidence" in str(section(folder))


@pytest.mark.parametrize(
    "said", [{"confidence": "high"}, {"patients": {"a": 3}}, {"confidence": 7.0}, {"unit": None}]
)
def test_what_cannot_be_is_refused_by_its_file(with_sets, said) -> None:
    with pytest.raises(StoreError, match=r"slide_03\.h5: .* Score the slides again"):
        section(with_sets(said={"conformal": SAID | said}))


def test_page_tables_and_summary_have_it(with_sets, cohort: Cohort, tmp_path: Path) -> None:
    found = evaluated(Options(Inputs(with_sets(), cohort.slides), resampling=FEW))
    write_report(tmp_path / "report.html", found.report, drawings=tmp_path, worst=(), explored=())
    page = (tmp_path / "report.html").read_text()
    assert "Where the model is not sure" in page
    assert "Promised: the set of a new patient" in page
    assert "Promised: the set of a new patient" in summary(tmp_path, found.report)
    rows = [row for row in found.report.rows() if row["scope"] == "prediction sets"]
    assert {(row["figure"], row["class"]) for row in rows} >= {
        ("set_coverage", "tumour"), ("set_size", "normal"), ("uncertain", ""),
    }  # fmt: skip
    stored = found.report.to_json()
    assert Report.from_json(stored).sets == found.report.sets
    assert json.loads(stored)["sets"]["promise"]["confidence"] == 0.9
