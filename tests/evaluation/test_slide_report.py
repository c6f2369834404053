from __future__ import annotations

import numpy as np
import pytest

from histocnn.evaluation.cases import Case
from histocnn.evaluation.options import LesionOptions, Resampling
from histocnn.evaluation.slide_report import froc_report, slide_report
from histocnn.metrics.froc import Hits

FEW, NOTHING = Resampling(50), np.empty(0)


def case(number: int, score: float, positive: bool | None, hits: Hits | None = None) -> Case:
    return Case(
        f"slide_{number}", f"patient_{number // 2}", np.zeros((1, 1), np.float32), (1.0, 1.0),
        score, positive, None, hits, number,
    )  # fmt: skip


def test_slide_auroc_by_hand() -> None:
    scores = [0.9, 0.2, 0.8, 0.1]
    cases = [case(i, s, i % 2 == 0) for i, s in enumerate(scores)] + [case(9, 0.5, None)]
    found = slide_report(cases, "tumour", FEW)
    assert (found.n, found.positive, found.figures["auroc"].value) == (4, 2, 1.0)
    assert found.interval.note == "no interval: 2 patients, fewer than 5"
    # two of four pairs are rightly ordered
    cases = [case(i, s, i < 2) for i, s in enumerate([0.9, 0.1, 0.5, 0.6])]
    assert slide_report(cases, "tumour", FEW).figures["auroc"].value == 0.5


def test_one_class_of_slides_has_no_auroc() -> None:
    found = slide_report([case(0, 0.9, True)], "tumour", FEW)
    assert found.figures["auroc"].value is None
    assert found.note == "AUROC undefined: the slides are of one class only"
    assert found.interval is None


def test_froc_by_hand() -> None:
    lesion = Hits(np.array([0.9]), NOTHING, 1, False)
    false = Hits(NOTHING, np.array([0.95, 0.5]), 0, True)
    cases = [case(0, 0, True, lesion), case(1, 0, False, false), case(2, 0, None)]
    found, curve = froc_report(cases, LesionOptions(froc="step"), FEW)
    assert (found.n, found.lesions, found.normal, found.unknown) == (2, 1, 1, 1)
    # half a false positive per slide stands before the lesion
    figures = found.figures
    assert figures["sensitivity_at_0.25_fp"].value == 0
    assert figures["sensitivity_at_0.5_fp"].value == 1
    assert figures["froc"].value == pytest.approx(5 / 6)
    assert found.excluded_detections == 0 + 1
    assert curve is not None


def test_without_lesions_it_is_said_why_there_is_no_froc() -> None:
    found, curve = froc_report([case(1, 0, False, Hits(NOTHING, NOTHING, 0, True))],
                               LesionOptions(), FEW)  # fmt: skip
    assert (found.figures, curve) == (None, None)
    assert "no lesion" in found.note
