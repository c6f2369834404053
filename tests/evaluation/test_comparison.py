from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histocnn.errors import MetricError
from histocnn.evaluation.comparison import compare
from histocnn.evaluation.judged import judge
from histocnn.evaluation.options import Resampling
from histocnn.scores.scorefile import open_scores
from histocnn.storage import store
from tests.stages.judged_cohort import write_cohort

FEW, NAMES = Resampling(20), ("a", "b")


def test_a_model_does_not_differ_from_itself(judged) -> None:
    found = compare(judged, judged, FEW, NAMES)
    assert found.n == len(judged)
    assert {gap.difference for gap in found.figures.values()} == {0}


def test_patches_are_matched_by_place_and_classes_by_name(tmp_path, judged) -> None:
    other = write_cohort(tmp_path, patients=8, class_names=("tumour", "normal"))
    for path in other.scores.glob("*.h5"):  # the same scores, in another order of rows and columns
        arrays = store.read(path)
        turned = {name: values[::-1] for name, values in arrays.items()}
        turned["scores"] = turned["scores"][:, ::-1]
        store.write(path, turned, store.attributes(path))
    (other.scores / "slide_00.h5").unlink()
    found = compare(judged, judge(open_scores(other.scores)), FEW, NAMES)
    assert found.n == 7 * 300
    assert {gap.difference for gap in found.figures.values()} == {0}


def test_what_cannot_be_compared_is_refused(judged) -> None:
    with pytest.raises(MetricError, match="other classes: normal, tumour and x, y"):
        compare(judged, replace(judged, class_names=("x", "y")), FEW, NAMES)
    nothing = replace(judged, scores=np.full_like(judged.scores, np.nan))
    with pytest.raises(MetricError, match="no patch is judged in both"):
        compare(judged, nothing, FEW, NAMES)
    with pytest.raises(MetricError, match="no slide in common"):
        compare(judged, replace(judged, files=()), FEW, NAMES)
