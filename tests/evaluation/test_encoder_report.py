"""Figures, intervals and paired differences of networks; by hand where it can be done."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from histocnn.evaluation.encoder_report import COLOUR, PRIMARY, Compared, Subject, summed_up
from histocnn.evaluation.encoder_trial import Division, Protocol, try_colour, try_out
from histocnn.metrics.intervals import draw
from histocnn.metrics.terms import NOBODYS

RNG = np.random.default_rng(0)
UNITS = np.repeat(np.arange(12), 8)
LABELS = np.tile([0, 1], 48)
GOOD = (RNG.normal(size=(96, 5)) + LABELS[:, None] * [2, 0, 0, 0, 0]).astype(np.float32)
POOR = (RNG.normal(size=(96, 4)) + LABELS[:, None] * [0.4, 0, 0, 0]).astype(np.float32)
DIVISION = Division.of(LABELS, ("a", "b"), UNITS, "patients", Protocol(7, 3, 4, 3))


@pytest.fixture(scope="module")
def report() -> Compared:
    return summed_up(tried(), DIVISION, replicates=200, left_out=2)


def tried() -> list[tuple[Subject, object]]:
    colours = RNG.uniform(0, 255, (96, 6)).astype(np.float32)
    return [
        (Subject("poor", "net", 4, 224, 0.5), try_out(POOR, DIVISION)),
        (Subject("good", "net", 5, 224, 0.5), try_out(GOOD, DIVISION)),
        (Subject(COLOUR, "colour", 6, 224, 0.5, NOBODYS), try_colour(colours, DIVISION)),
    ]  # type: ignore[return-value]


def test_figures_are_scikit_learns(report: Compared) -> None:
    for row, values in zip(report.rows, (POOR, GOOD), strict=False):
        trial = try_out(values, DIVISION)
        for method, scores in (("knn", trial.knn), ("probe", trial.probe)):
            own = row.figures[method]
            assert own[PRIMARY].value == pytest.approx(
                balanced_accuracy_score(LABELS, scores.argmax(1))
            )
            assert own["macro_auroc"].value == pytest.approx(roc_auc_score(LABELS, scores[:, 1]))
            assert own[PRIMARY].low < own[PRIMARY].value < own[PRIMARY].high  # type: ignore[operator]
        for few in row.few:
            draws = [balanced_accuracy_score(LABELS, said) for said in trial.few[few.shots]]
            assert few.figure.value == pytest.approx(np.mean(draws))
            assert few.spread == pytest.approx(np.std(draws))
    assert (report.n, report.left_out, report.counts) == (96, 2, (48, 48))
    assert (report.interval.unit, report.interval.groups) == ("patients", 12)


def test_the_others_are_compared_with_the_best_patient_by_patient(report: Compared) -> None:
    assert report.against == {"knn": "good", "probe": "good", "few": "good"}
    poor, good, colour = report.rows
    assert good.gaps == {}
    assert [few.gap for few in good.few] == [None, None, None]
    gap = poor.gaps["probe"][PRIMARY]
    right = [try_out(values, DIVISION).probe.argmax(1) == LABELS for values in (POOR, GOOD)]
    presence = np.array([[4, 4]] * 12)
    drawn, _ = draw(presence, replicates=200)
    per_patient = np.array([[own[unit == UNITS].mean() for unit in range(12)] for own in right])
    gaps = (drawn / 12) @ (per_patient[0] - per_patient[1])  # equal counts: accuracy is balanced
    np.testing.assert_allclose((gap.low, gap.high), np.percentile(gaps, (2.5, 97.5)))
    assert gap.difference == pytest.approx(right[0].mean() - right[1].mean())
    assert gap.p_corrected is not None
    assert gap.p_corrected >= gap.p  # type: ignore[operator]
    assert colour.few[0].gap is not None


def test_the_first_may_be_compared_with_and_few_patients_have_no_interval() -> None:
    report = summed_up(tried(), DIVISION, against="first", replicates=50)  # type: ignore[arg-type]
    assert set(report.against.values()) == {"poor"}
    assert report.rows[1].gaps["knn"][PRIMARY].difference > 0  # type: ignore[operator]
    few = Division.of(LABELS, ("a", "b"), UNITS % 3, "slides", Protocol(7, 3, 2, 2))
    alone = summed_up([(Subject("x", "net", 5, None, None), try_out(GOOD, few))], few)
    [row] = alone.rows
    assert row.figures["knn"][PRIMARY].low is None
    assert row.gaps == {}
    assert "3 slides, fewer than 5" in alone.interval.note
