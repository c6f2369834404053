from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histocnn.cohort.seen import stored_ids
from histocnn.evaluation.judged import judge
from histocnn.evaluation.options import Resampling
from histocnn.evaluation.patch_report import patch_report
from histocnn.metrics.patch import UNKNOWN_GROUPS
from histocnn.models import outcome
from histocnn.models.data import PatchDataModule
from histocnn.models.options import DataOptions
from histocnn.models.outcome import Predictions
from histocnn.models.spec import ModelSpec
from histocnn.patches.patches import open_patches
from histocnn.reference.colour import ColourReference
from histocnn.scores.scored import read_scored
from histocnn.scores.scorefile import open_scores
from histocnn.storage import store
from tests.models.patch_files import write_folder, write_grids

SPEC = ModelSpec("lenet5", class_names=("n", "t"), temperature=2.0)


def test_of_many_slides_each_has_a_file_of_its_tested_patches(tmp_path):
    grids = write_grids(tmp_path, slides=6)
    data = PatchDataModule(DataOptions(grids, workers=0, fractions=(1 / 3, 1 / 3, 1 / 3)))
    rows = data.rows["test"]
    assert len(set(rows.source)) == 2
    logits = np.stack([np.zeros(len(rows)), np.arange(len(rows))], axis=1).astype(np.float32)
    logits[0] = np.nan  # a patch that could not be read
    cohort = {
        part: {"patients": data.rows[part].patient_ids, "slides": data.rows[part].slide_ids}
        for part in ("train", "val")
    }
    points = {"t": {"youden": {"threshold": 0.4}}}
    spec = replace(SPEC, seen=cohort, thresholds=points, training={"patches": {"train": 7}})
    scores = outcome.write_scores(
        tmp_path, data, Predictions(logits, np.zeros((len(rows), 6), np.float32)), spec
    )
    assert np.isnan(scores[0]).all()
    expected = 1 / (1 + np.exp(-1 / 2))  # one logit more, at temperature 2
    assert scores[1, 1] == pytest.approx(expected, abs=1e-6)
    files = sorted((tmp_path / "scores").glob("*.h5"))
    assert [f.stem for f in files] == sorted({f"slide{i}" for i in rows.source})
    for file in files:
        found, attributes = store.read(file), store.attributes(file)
        mine = rows.source == int(file.stem[-1])
        assert np.array_equal(found["scores"], scores[mine], equal_nan=True)
        whole = store.read(grids / file.name, "coords")["coords"]
        assert np.array_equal(found["coords"], whole[rows.row[mine]])
        assert np.array_equal(found["labels"], rows.labels[mine])
        assert attributes["slide_id"] == file.stem
        assert attributes["seen"] == "no"
        assert attributes["temperature"] == 2.0
        assert attributes["thresholds"] == points
        assert attributes["recipe"] == {
            "stage": "train", "split": "test", "model": {"patches": {"train": 7}},
        }  # fmt: skip
        assert read_scored(file).origin == "model trained on 7 patches"


def report_of(data):
    """The report of scores that are right of every test patch."""
    rows = data.rows["test"]
    sure = np.eye(2, dtype=np.float32)[rows.labels]
    cohort = {
        part: {"patients": stored_ids(data.rows[part].patient_ids), "slides": []}
        for part in ("train", "val")
    }
    wrong = ColourReference(np.eye(2, 6, dtype=np.float16), np.array([1, 0]), 2)
    colours = np.eye(2, 6, dtype=np.float32)[rows.labels]
    return outcome.report(data, sure, colours, replace(SPEC, seen=cohort, colour=wrong.to_dict()))


def test_figures_rest_on_patients_however_the_split_was_made(tmp_path):
    folder = write_folder(tmp_path / "images", per_patient=3)
    options = {"patient_pattern": "(p[0-9]+)_", "fractions": (0.3, 0.2, 0.5), "workers": 0}
    by_patient = report_of(PatchDataModule(DataOptions(folder, **options)))
    assert (by_patient.title, by_patient.stamp, by_patient.warnings) == ("", "", ())
    assert by_patient.transfer == "the model holds nothing of validation"
    assert (by_patient.patch.interval.unit, by_patient.patch.interval.groups) == ("patients", 6)
    assert by_patient.seen == {"no": 36, "unknown": 0, "val": 0, "train": 0}
    gap = by_patient.colour_training.differences["accuracy"]
    assert gap.difference == gap.low == gap.high == 1

    data = PatchDataModule(DataOptions(folder, split_by="file", **options))
    by_file = report_of(data)
    # 36 patches, of fewer patients, and most of these were trained on
    tested = len(set(data.rows["test"].patient_ids))
    assert (by_file.patch.interval.unit, by_file.patch.interval.groups) == ("patients", tested)
    assert by_file.title == "file-level split, same patient in training, optimistic"
    assert by_file.stamp == "same patient in training"
    assert by_file.warnings == ("Same patient in training: optimistic.",)
    assert by_file.seen["train"] > 0
    assert {row["note"] for row in by_file.rows()} >= {by_file.stamp + "; few patients"}


def test_of_images_whose_patient_nobody_knows_there_is_no_interval(tmp_path):
    folder = write_folder(tmp_path / "images", per_patient=3)
    data = PatchDataModule(DataOptions(folder, workers=0, split_by="file"))
    data.unstained = {"a/p00_0.png", "b/p01_2.png"}  # as their batches went by
    found = report_of(data)
    assert found.title == "file-level split, patients unknown, optimistic"
    assert found.patch.figures["accuracy"].value == 1
    assert found.patch.figures["accuracy"].low is None
    assert found.patch.interval.note == UNKNOWN_GROUPS
    assert found.colour_training.figures["accuracy"].value == 0
    assert found.colour_training.differences["accuracy"].p is None
    assert found.colour_within == "of some patches no patient is known"
    assert found.seen["unknown"] == found.patch.n
    assert found.notes == (
        "Of some patients it is unknown whether they were seen in training.",
        "stain of 2 of 72 patches left as it is: none to go by",
    )


def test_training_and_evaluation_give_the_same_intervals(tmp_path):
    """One rule: the rows that train judges, and evaluate on what train wrote."""
    folder = write_folder(tmp_path / "images", per_patient=3)
    for name, options in {
        "unknown": {"split_by": "file"},
        "patients": {"patient_pattern": "(p[0-9]+)_", "fractions": (0.3, 0.2, 0.5)},
        "itself": {"patient_pattern": "(.*)"},  # each image is its own patient
    }.items():
        data = PatchDataModule(DataOptions(folder, workers=0, **options))
        n = len(data.rows["test"])
        logits = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
        test = Predictions(logits, np.zeros((n, 6), np.float32))
        spec = replace(SPEC, class_names=("a", "b"), thresholds={})
        scores = outcome.write_scores(tmp_path / name, data, test, spec)
        trained = outcome.report(data, scores, test.colour, spec).patch
        judged = judge(open_scores(tmp_path / name / "scores.h5"))
        [patches] = open_patches(tmp_path / name / "scores.h5")
        assert len(patches) == n
        assert patches.patch(n - 1).shape[2] == 3  # the test's images, known again without the rest
        evaluated = patch_report(judged, Resampling())
        assert trained.figures == evaluated.figures
        assert trained.interval == evaluated.interval
        assert (trained.figures["accuracy"].low is None) == (name == "unknown")
