from __future__ import annotations

import csv
import io

import pytest

from histocnn.errors import TrainingError
from histocnn.searching.journal import open_study
from histocnn.searching.judging import Judged
from histocnn.searching.results import (
    Row,
    best_of,
    counted,
    importance,
    rows_of,
    table,
    within_noise,
)
from histocnn.searching.worker import Worker
from tests.searching.configurations import plan_of


def row(number, folds, state="complete", **more):
    value = sum(folds) / len(folds) if folds else None
    return Row(number, state, value, tuple(folds), {"features.c": 0.1 * number}, **more)


ROWS = [
    row(0, (0.6, 0.8)),
    row(1, (0.65, 0.87)),
    row(2, (0.66, 0.86)),
    row(3, (), "failed", reason="nan"),
]


def test_the_best_is_the_first_of_equals():
    assert best_of(ROWS, maximize=True).number == 1
    assert best_of(ROWS, maximize=False).number == 0


def test_where_none_came_to_an_end_it_is_said_why():
    failed = [row(i, (), "failed", reason="the loss became nan") for i in range(3)]
    with pytest.raises(TrainingError, match="of 3 \\(3 failed\\): 3 × the loss became nan"):
        best_of(failed, maximize=True)


def test_a_difference_within_noise_is_seen_as_one():
    # By hand: of trial 2 the gaps are -0.01 and 0.01, mean 0 ≤ 0.01; of trial 0 they are 0.05 and
    # 0.07, mean 0.06, standard error 0.01.
    assert [r.number for r in within_noise(ROWS, ROWS[1], maximize=True)] == [2]
    assert ROWS[0].sem == pytest.approx(0.1)
    assert row(0, (0.5,)).sem is None


def test_the_table_has_a_line_per_trial_with_its_reason():
    lines = list(csv.DictReader(io.StringIO(table(ROWS, ["features.c"], 2))))
    assert [line["state"] for line in lines] == ["complete"] * 3 + ["failed"]
    assert (lines[1]["fold_0"], lines[1]["features.c"]) == ("0.65", "0.1")
    assert (lines[3]["fold_0"], lines[3]["reason"]) == ("", "nan")
    assert counted(ROWS) == "3 complete, 1 failed"


def test_what_decides_the_metric_is_the_important_key(tmp_path):
    study = open_study(plan_of(tmp_path), tmp_path / "out", before=lambda: None)
    assert importance(study) == {}  # nothing is known yet

    def run(values, *_):
        return Judged([values["features.c"]])

    Worker(study, run, lambda line: None).work(wait=True)
    found = importance(study)
    assert next(iter(found)) == "features.c"
    assert found["features.c"] > 0.9
    assert [r.value for r in rows_of(study)] == [0.001, 0.001, 0.01, 0.01, 0.1, 0.1]
