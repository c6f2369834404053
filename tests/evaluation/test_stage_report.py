from __future__ import annotations

import numpy as np
import pytest

from histocnn.errors import MetricError
from histocnn.evaluation.cases import Case
from histocnn.evaluation.stage_report import fit, is_camelyon17, stage_report
from histocnn.metrics.camelyon17 import Rule

RULE = Rule(0.5, 0.0, float("nan"))


def node(patient: int, number: int, cells: int, label: str | None) -> Case:
    """A node with a row of tumour cells of 100 µm."""
    prob = np.zeros((1, 40), np.float32)
    prob[0, :cells] = 0.9
    name = f"patient_{patient:03d}_node_{number}"
    return Case(name, f"patient_{patient:03d}", prob, (100.0, 100.0), 0.0, None, label, None, 0)


CASES = [node(0, i, 10 * (i == 0), "negative" if i else "micro") for i in range(5)]
CASES += [node(1, i, 0, "negative") for i in range(5)]


def test_the_challenges_classes_are_known_by_their_names() -> None:
    assert is_camelyon17(CASES)
    assert not is_camelyon17([node(0, 0, 0, "tumour")])
    assert not is_camelyon17([node(0, 0, 0, None)])


def test_slides_and_patients_are_classed() -> None:
    report, classes = stage_report(CASES, RULE, ())
    assert classes["patient_000_node_0"] == "micro"
    assert {classes[case.slide_id] for case in CASES[1:]} == {"negative"}
    assert (report.slide_kappa, report.patient_kappa, report.patients) == (1, 1, 2)
    assert report.fitted_kappa is None


def test_a_patient_with_a_node_that_nobody_scored_is_left_out() -> None:
    listed = [*(case.slide_id for case in CASES), "patient_001_node_9"]
    report, _ = stage_report(CASES, RULE, listed)
    assert (report.patients, report.patients_left_out) == (1, ("patient_001",))


def test_slides_of_other_names_have_no_stages() -> None:
    report, _ = stage_report([CASES[0]._replace(slide_id="slide"), *CASES[1:]], RULE, ())
    assert (report.patients, report.patient_kappa) == (None, None)


def test_the_rule_is_fitted_on_other_labelled_nodes() -> None:
    training = [node(7, 0, 10, "micro"), node(7, 1, 0, "negative")]
    assert fit(training, CASES).kappa == 1
    with pytest.raises(MetricError, match="patients that are evaluated, too: patient_000_node_0"):
        fit(CASES[:1], CASES)
    with pytest.raises(MetricError, match="no labelled node"):
        fit([node(8, 0, 0, None)], CASES)
