"""Patients who only calibrate prediction sets: kept apart, refused where they are too few."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from histocnn.cohort.seen import TrainingCohort
from histocnn.cohort.splits import write_split
from histocnn.errors import CohortError, UsageError
from histocnn.metrics.conformal import Calibration, quantiles
from histocnn.models.abstention import calibrated
from histocnn.models.spec import ModelSpec, read_spec
from histocnn.stages.train import train
from tests.models.patch_files import module, write_csv, write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """40 patients with one patch of each class."""
    return write_folder(tmp_path_factory.mktemp("patches") / "images", patients=40, per_patient=1)


HALF = {"fractions": (0.8, 0.1, 0.1), "calibration": 0.64}  # 20 or 21 of 32


def test_they_are_kept_from_everything_else(folder, tmp_path):
    data = module(folder, **HALF)
    assert list(data.rows) == ["train", "val", "test", "calibration"]
    patients = [set(rows.patient_ids) for rows in data.rows.values()]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 40
    assert len(patients[3]) >= 20
    write_split(tmp_path / "split.csv", data.groups, data.parts.tolist())
    again = module(folder, split_file=tmp_path / "split.csv")
    assert again.rows["calibration"].patient_ids == data.rows["calibration"].patient_ids
    assert list(module(folder).rows) == ["train", "val", "test"]


def test_a_split_that_is_given_has_them_named_there(folder, tmp_path):
    data = module(folder, **HALF)
    write_split(tmp_path / "split.csv", data.groups, data.parts.tolist())
    with pytest.raises(UsageError, match=r"split_file .* decides.*Write calibration as the split"):
        module(folder, split_file=tmp_path / "split.csv", calibration=0.3)


def test_too_few_promise_nothing_and_training_does_not_begin(folder):
    with pytest.raises(CohortError) as error:
        module(folder, calibration=0.3)
    assert "too few patients: 8 of a, 8 of b; of fewer than 20" in str(error.value)
    assert "Change --data.fractions: give it more, or none." in str(error.value)


def test_a_class_without_calibration_patients_is_named(tmp_path):
    listing = write_csv(tmp_path, {"train": 80, "val": 20, "test": 20, "calibration": 200})
    rows = [line.split(",") for line in listing.read_text().splitlines()]
    rows = [row for row in rows if row[3] != "calibration" or row[1] == "a"]
    for i, row in enumerate(row for row in rows if row[3] == "calibration"):
        row[2] = f"kept{i}"
    with listing.open("w", newline="") as lines:
        csv.writer(lines).writerows(rows)
    with pytest.raises(CohortError, match="too few patients: 0 of b; "):
        module(listing, patient_pattern=None)


@pytest.mark.parametrize("how", [{"split_by": "file", "patient_pattern": None}])
def test_nobody_s_patches_calibrate_nothing(folder, how):
    with pytest.raises(CohortError, match="neither patient nor slide is known"):
        module(folder, **HALF, **how)


def test_a_patient_of_another_split_is_refused_though_sharing_is_allowed(tmp_path):
    listing = write_csv(tmp_path, {"train": 40, "val": 20, "test": 20, "calibration": 40})
    rows = [line.split(",") for line in listing.read_text().splitlines()]
    rows[0].append("slide_id")
    for i, row in enumerate(rows[1:]):
        row.append(f"slide{i}")
    kept = [row for row in rows if row[3] == "calibration"]
    kept[0][2] = rows[1][2]
    with listing.open("w", newline="") as lines:
        csv.writer(lines).writerows(rows)
    with pytest.raises(CohortError, match="same patient is in two splits"):
        module(listing, patient_pattern=None, allow_shared_patient=True)


def test_limits_are_of_scores_at_the_model_s_temperature(folder):
    rows = module(folder, **HALF).rows["calibration"]
    logits = np.random.default_rng(0).normal(0, 2, (len(rows), 2)).astype(np.float32)
    found = calibrated(ModelSpec("lenet5", class_names=("a", "b"), temperature=2.0), logits, rows)
    own = rows.labels == 1
    score = 1 / (1 + np.exp((logits[own, 0] - logits[own, 1]) / 2.0))
    patient = np.unique(rows.patient_ids, return_inverse=True)[1][own]
    expected = 1 - quantiles(1 - score.astype(np.float64), patient, np.array([0.8]))[0]
    limits = Calibration.from_dict(found.conformal)
    assert limits.least(0.8, ["b"])[0] == pytest.approx(expected, rel=1e-5)
    assert (limits.unit, limits.patients_of("a")) == ("patients", len(set(rows.patient_ids)))
    assert ModelSpec.from_json(found.to_json()).conformal == json.loads(json.dumps(found.conformal))


@pytest.mark.filterwarnings("ignore")  # Lightning's and torch's of each other
def test_training_measures_them_and_the_model_file_knows_who_they_are(folder, tmp_path):
    train(
        out=tmp_path,
        data={"patches": folder, "patient_pattern": "(p[0-9]+)_", "workers": 0, **HALF},
        model={"backbone": "lenet5", "weights": None},
        trainer={"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False},
    )
    spec = read_spec(tmp_path / "model.safetensors")
    with (tmp_path / "split.csv").open() as lines:
        kept = {row["group"] for row in csv.DictReader(lines) if row["split"] == "calibration"}
    limits = Calibration.from_dict(spec.conformal)
    assert {limits.patients_of(name) for name in "ab"} == {len(kept)}
    assert spec.training["patches"]["calibration"] == 2 * len(kept)
    assert kept <= set(spec.seen["val"]["patients"])
    assert {TrainingCohort(spec.seen).verdict("", one).seen for one in kept} == {"val"}
