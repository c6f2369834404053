from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import MetricError
from histocnn.evaluation.colour_report import colour_reports
from histocnn.evaluation.judged import judge
from histocnn.evaluation.options import Resampling
from histocnn.metrics.sections import ColourReport
from histocnn.reference.colour import ColourReference
from histocnn.reference.colour_figures import NO_COLOURS, NOT_STORED
from histocnn.scores.scorefile import open_scores
from histocnn.storage import store

FEW = Resampling(20)


def test_colours_that_tell_the_classes_are_found_out(judged) -> None:
    training, within = colour_reports(judged, FEW)  # tumour is 40 grey levels darker
    assert training == NOT_STORED
    assert isinstance(within, ColourReport)
    assert within.figures["macro_auroc"].value > 0.9
    assert (within.n, within.folds) == (len(judged), "patients")


def with_colours(cohort, folder: Path, text: str):
    for path in sorted(cohort.scores.glob("*.h5")):
        written = store.read(path) | {"training_colours": [text]}
        store.write(folder / path.name, written, store.attributes(path))
    return judge(open_scores(folder))


def test_training_is_what_the_scores_hold_of_it(cohort, judged, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colours = rng.normal(100, 30, (50, 6)).astype(np.float16)
    reference = ColourReference(colours, rng.integers(0, 2, 50), 3)
    stored = with_colours(cohort, tmp_path, json.dumps(reference.to_dict()))
    training, _ = colour_reports(stored, FEW)
    assert isinstance(training, ColourReport)
    assert training.folds == "50 patches of training (3 patients)"
    expected = reference.scores(judged.colour, 2).argmax(axis=1)
    assert training.figures["accuracy"].value == pytest.approx((expected == judged.labels).mean())
    swapped = replace(stored, score_classes=("tumour", "normal"))  # as --match would rename them
    other, _ = colour_reports(swapped, FEW)
    assert isinstance(other, ColourReport)
    assert other.figures["accuracy"].value == pytest.approx((expected != judged.labels).mean())


@pytest.mark.parametrize("text", ["{", "[]", '{"patients": 1, "colours": "", "labels": ""}'])
def test_what_is_damaged_is_refused_by_its_file(cohort, tmp_path: Path, text: str) -> None:
    with pytest.raises(MetricError, match=r"slide_00\.h5: what it holds of training's colours"):
        colour_reports(with_colours(cohort, tmp_path, text), FEW)


def test_without_colours_the_reason_is_said(judged) -> None:
    bare = replace(judged, colour=np.full_like(judged.colour, np.nan))
    assert colour_reports(bare, FEW)[1] == NO_COLOURS
