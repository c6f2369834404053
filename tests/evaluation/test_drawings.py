from __future__ import annotations

import numpy as np

from histocnn.evaluation.assembly import evaluated
from histocnn.evaluation.drawings import draw, strip_rows
from histocnn.evaluation.options import Inputs, Options, Resampling


def test_the_strip_begins_with_the_worst_slide(judged) -> None:
    rows = strip_rows(judged)
    right = [row[3] for row in rows]
    assert right == sorted(right)
    assert len(rows) == 8
    slide, scores, labels, share = rows[0]
    own = judged.slide == judged.slide_ids.index(slide)
    assert share == (judged.called == judged.labels)[own].mean()
    assert np.array_equal(scores, judged.scores[own, labels])


def test_curves_say_their_area_and_who_was_seen(cohort, tmp_path) -> None:
    found = evaluated(Options(Inputs(cohort.scores), resampling=Resampling(20)))
    draw(tmp_path, found)
    auroc = found.report.patch.per_class["tumour"]["auroc"]
    text = (tmp_path / "roc.svg").read_text()
    assert f"tumour: {auroc}" in text
    assert "includes seen patients" not in text
    assert not (tmp_path / "froc.svg").exists()
