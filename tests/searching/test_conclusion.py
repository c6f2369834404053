from __future__ import annotations

import json
import os

import numpy as np
import pytest
import yaml

from histocnn.searching import conclusion
from histocnn.searching.conclusion import (
    alone,
    configuration,
    primary,
    write_configurations,
)
from histocnn.searching.feature_trial import divided
from histocnn.searching.folds import write_folds
from histocnn.searching.plan import read_plan
from histocnn.searching.results import Row
from tests.searching.configurations import plan_of

BEST = Row(3, "complete", 0.9, (0.9, 0.9), {"features.c": 0.1, "features.use": "far"})


def test_the_best_of_features_is_a_configuration_of_probe_or_knn(tmp_path):
    plan = plan_of(tmp_path)
    write_configurations(plan, tmp_path, BEST)
    told = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert (told["reference"], told["c"]) == (str(tmp_path / "far"), 0.1)
    assert yaml.safe_load((tmp_path / "default.yaml").read_text())["c"] == 0.01
    text = configuration(plan, tmp_path, "best", {"features.method": "knn", "features.k": 7})
    assert text.startswith("# histocnn knn")
    assert yaml.safe_load(text)["k"] == 7


def test_the_best_of_trainings_has_the_searchs_own_split(tmp_path):
    told = {
        "data": {"patches": str(tmp_path), "calibration": 0.1},
        "model": {"backbone": "lenet5", "weights": None},
        "search": {"space": {"model.dropout": [0.1, 0.2]}},
    }
    for refit, split in ((False, "split.csv"), (True, "split_refit.csv")):
        told["search"]["refit"] = refit
        (tmp_path / "c.yaml").write_text(json.dumps(told))
        (tmp_path / split).touch()
        plan = read_plan(tmp_path / "c.yaml")
        made = yaml.safe_load(configuration(plan, tmp_path, "best", {"model.dropout": 0.2}))
        assert made["data"]["split_file"] == str(tmp_path / split)
        assert made["data"]["calibration"] is None  # these patients stand in the file
        assert made["model"]["dropout"] == 0.2
        assert made["out"] == str(tmp_path / "best")


def test_best_and_default_meet_the_test_patients_in_pairs(tmp_path):
    plan = plan_of(tmp_path)
    write_folds(tmp_path, *divided(plan.features({})), folds=2, seed=0)
    found = conclusion.tested(
        plan, tmp_path, BEST, compare=lambda a, b: pytest.fail("of trainings alone")
    )
    gap = found.gaps.figures["macro_auroc"]
    assert gap.first == pytest.approx(found.best.figures["macro_auroc"].value)
    assert gap.second == pytest.approx(found.default.figures["macro_auroc"].value)
    assert found.figure("auroc:a", found.best) == found.best.per_class["a"]["auroc"]
    assert found.figure("nothing", found.best) is None
    assert primary(plan, found.gaps) == "macro_auroc"
    assert np.isfinite(gap.difference)


def test_one_process_at_a_time_concludes_and_a_dead_ones_claim_is_no_claim(tmp_path):
    with alone(tmp_path) as mine:
        assert mine
        with alone(tmp_path) as other:
            assert not other
    with alone(tmp_path) as mine:
        assert mine
    dead = {"host": conclusion.host(), "pid": 2**22 + 1}
    (tmp_path / "concluding.json").write_text(json.dumps(dead))
    with alone(tmp_path) as mine:
        assert mine
    alive = {"host": conclusion.host(), "pid": os.getpid()}
    (tmp_path / "concluding.json").write_text(json.dumps(alive))
    with alone(tmp_path) as mine:
        assert not mine
