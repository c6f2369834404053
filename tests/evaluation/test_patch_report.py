"""Figures of judged patches that no other test reaches."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from histocnn.evaluation.patch_report import ece_before


def test_calibration_error_before_the_temperature_by_hand() -> None:
    # 0.9 and 0.1 softened by a temperature of 2 are 3 : 1, because 0.9 : 0.1 = 3 squared.
    judged: Any = SimpleNamespace(
        scores=np.array([[0.75, 0.25], [0.75, 0.25]]),
        labels=np.array([0, 0]),
        class_names=["a", "b"],
    )
    assert ece_before(judged, 2.0) == pytest.approx(0.1)
    assert ece_before(judged, 1.0) == pytest.approx(0.25)
