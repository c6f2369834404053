from __future__ import annotations

from dataclasses import replace

import numpy as np

from histocnn.evaluation.colour_report import colour_report
from histocnn.evaluation.options import Resampling
from histocnn.metrics.sections import ColourReport

FEW = Resampling(20)


def test_colours_that_tell_the_classes_are_found_out(judged) -> None:
    found = colour_report(judged, FEW)  # tumour is 40 grey levels darker
    assert isinstance(found, ColourReport)
    assert found.figures["macro_auroc"].value > 0.9
    assert found.n == len(judged)
    assert found.folds == "patients"
    right = (judged.called == judged.labels).mean()
    assert abs(found.scores["accuracy"].value - right) < 1e-12


def test_colours_that_say_nothing_score_as_chance(judged) -> None:
    noise = np.random.default_rng(0).normal(size=judged.colour.shape).astype(np.float32)
    found = colour_report(replace(judged, colour=noise), FEW)
    assert isinstance(found, ColourReport)
    assert 0.4 < found.figures["macro_auroc"].value < 0.6


def test_why_there_is_none_is_said(judged) -> None:
    bare = replace(judged, colour=np.full_like(judged.colour, np.nan))
    assert colour_report(bare, FEW) == "the score files hold no colours of the patches"
    one = replace(judged, patient=np.zeros_like(judged.patient))
    assert colour_report(one, FEW) == "all patches are of one patient"
