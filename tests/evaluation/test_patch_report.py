"""Figures of judged patches: all, at outlines, and per centre."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from histocnn.evaluation.options import Resampling
from histocnn.evaluation.patch_report import (
    border_report,
    ece_before,
    patch_report,
    per_centre,
    report_of,
    stored_points,
)

FEW = Resampling(20)


def test_calibration_error_before_the_temperature_by_hand() -> None:
    # 0.9 and 0.1 softened by a temperature of 2 are 3 : 1, because 0.9 : 0.1 = 3 squared.
    judged: Any = SimpleNamespace(
        scores=np.array([[0.75, 0.25], [0.75, 0.25]]),
        labels=np.array([0, 0]),
        class_names=["a", "b"],
    )
    assert ece_before(judged, 2.0) == pytest.approx(0.1)
    assert ece_before(judged, 1.0) == pytest.approx(0.25)


def test_some_patches_are_judged_by_themselves(judged) -> None:
    rows = judged.file == 3
    found = report_of(judged, rows, FEW)
    right = (judged.scores.argmax(1) == judged.labels)[rows]
    assert found.figures["accuracy"].value == pytest.approx(right.mean())
    assert (found.n, found.interval.groups) == (300, 1)
    worst = report_of(judged, rows, FEW, 1 - judged.scores)
    assert worst.figures["accuracy"].value == pytest.approx(1 - right.mean())


def test_centres_are_judged_alone(judged) -> None:
    centre = {f"slide_{i:02d}": "AB"[i > 1] for i in range(7)}  # none for the last
    found = per_centre(judged, centre, FEW)
    assert {name: report.n for name, report in found.items()} == {"A": 600, "B": 1500}
    assert per_centre(judged, {}, FEW) == {}


def test_outlines_are_reported_where_they_are_crossed(judged) -> None:
    assert border_report(judged, FEW) is None
    labels = judged.labels.copy()
    labels[:4] = -1
    crossed = replace(judged, labels=labels, border=judged.labels)
    assert border_report(crossed, FEW).n == patch_report(crossed, FEW).n + 4


def test_stored_points_are_those_of_our_classes() -> None:
    points = {"a": {"youden": {"threshold": 0.5}}, "other": {}, "b": "nonsense"}

    def found(attributes: dict[str, Any], *names: str) -> Any:
        file = SimpleNamespace(attributes=attributes, class_names=names)
        judged: Any = SimpleNamespace(files=[file], score_classes=names)
        return stored_points(judged)

    assert found({"thresholds": points}, "a", "b") == ({"a": points["a"]}, ())
    assert found({"thresholds": points}, "c") == (None, ())
    assert found({}, "a") == (None, ())
