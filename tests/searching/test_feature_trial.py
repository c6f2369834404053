from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from histocnn.cohort.splits import read_split
from histocnn.errors import CohortError, FeaturesError
from histocnn.searching.feature_trial import (
    FeatureTrials,
    divided,
    figure,
    groups_of,
    on_test,
    only,
    read,
    scores,
)
from histocnn.searching.folds import fold_file, write_folds
from histocnn.searching.judging import TrialFailedError
from tests.feature_files import write_features
from tests.searching.configurations import PATIENTS, plan_of


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    plan = plan_of(folder)
    write_folds(folder, *divided(plan.features({})), folds=2, seed=0)
    return folder, plan


def never(step, value):
    return False


def test_a_probe_is_scikit_learns_on_each_fold(prepared):
    folder, plan = prepared
    values = {"features.c": 0.1, "features.use": "far"}
    found = FeatureTrials(plan, folder).run(values, folder, never, None)
    rows = only(read(plan.features(values)), fold_groups(folder))
    for fold, value in enumerate(found.folds):
        parts = read_split(fold_file(folder, fold), groups_of(rows))
        train, val = (rows.only(parts == part) for part in ("train", "val"))
        scale = StandardScaler().fit(train.values)
        model = LogisticRegression(C=0.1, max_iter=1000).fit(
            scale.transform(train.values), train.labels
        )
        own = model.predict_proba(scale.transform(val.values))[:, 1]
        assert value == pytest.approx(roc_auc_score(val.labels, own), abs=1e-6)


def fold_groups(folder):
    text = fold_file(folder, 0).read_text().splitlines()[1:]
    return [line.split(",")[0] for line in text]


def test_knn_is_scikit_learns(prepared):
    _, plan = prepared
    options = plan.features(
        {"features.method": "knn", "features.k": 5, "features.metric": "euclidean",
         "features.weights": "uniform", "features.center": False}
    )  # fmt: skip
    rows = read(options)
    halves = np.array([int(name[1:]) % 2 for name in rows.patient_ids])
    train, val = rows.only(halves == 0), rows.only(halves == 1)
    model = KNeighborsClassifier(5).fit(train.values, train.labels)
    assert scores(train, val, options) == pytest.approx(model.predict_proba(val.values), abs=1e-6)


def test_a_trial_hears_of_the_folds_and_never_of_a_test_patient(prepared, monkeypatch):
    folder, plan = prepared
    heard, seen = [], set()
    own = scores

    def listening(examples, queries, options):
        seen.update(examples.patient_ids, queries.patient_ids)
        return own(examples, queries, options)

    monkeypatch.setattr("histocnn.searching.feature_trial.scores", listening)
    trials = FeatureTrials(plan, folder)
    trials.run({}, folder, lambda step, value: heard.append(step), None)
    assert heard == [0, 1000]
    assert seen == set(fold_groups(folder))
    assert len(seen) < len(PATIENTS)


def test_test_scores_are_of_the_test_patients_by_the_others(prepared):
    folder, plan = prepared
    alone, both = (on_test(folder, plan.features({}), refit=refit) for refit in (False, True))
    assert len(alone.labels) == 6 * len(set(alone.groups.of_patch))
    assert len(set(alone.groups.of_patch)) == len(PATIENTS) - len(fold_groups(folder))
    assert alone.keys == both.keys
    assert not np.allclose(alone.scores, both.scores)


def test_what_cannot_be_judged_is_said(prepared, tmp_path):
    _, plan = prepared
    rows = read(plan.features({}))
    with pytest.raises(FeaturesError, match="a class has no examples in a fold"):
        scores(rows.only(rows.labels == 0), rows, plan.features({}))
    flat = np.full((len(rows), 2), 0.5, np.float32)
    with pytest.raises(TrialFailedError, match="auroc:x: the classes are a, b"):
        figure(flat, rows, "auroc:x")
    one = rows.only(rows.labels == 0)
    assert figure(flat[: len(one)], one, "macro_auroc") is None
    write_features(tmp_path / "near" / "all.h5")  # of nobody
    with pytest.raises(CohortError, match="neither patient nor slide is known"):
        read(plan.features({"features.sets": {"near": str(tmp_path / "near")}}))
