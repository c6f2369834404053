"""Split by stain: groups flow to split, intervals, score file and report as patients do."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.cohort.whose import PESSIMISTIC
from histocnn.errors import CohortError, UsageError
from histocnn.evaluation.judged import judge
from histocnn.evaluation.options import Resampling
from histocnn.evaluation.patch_report import patch_report
from histocnn.models import outcome
from histocnn.models.data import PatchDataModule
from histocnn.models.options import DataOptions
from histocnn.models.outcome import Predictions
from histocnn.models.spec import ModelSpec
from histocnn.models.stain_split import with_stain_groups
from histocnn.scores.scorefile import open_scores
from tests.models.patch_files import PATTERN, module
from tests.patches.test_stain_groups import partition, picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`<a|b>/p<stain>_<number>.png`, 20 stains, 3 pictures of each class in each."""
    root = tmp_path_factory.mktemp("stains")
    for label, name in enumerate("ab"):
        (root / name).mkdir()
        for stain in range(20):
            for i in range(3):
                image = picture(stain, 3 * label + i)[..., ::-1]
                cv2.imwrite(str(root / name / f"p{stain:02d}_{i}.png"), image)
    return root


def test_a_stain_is_in_one_split_only(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    data = module(folder, patient_pattern=None, split_by="stain")
    stains = [Path(data.all_rows.name(i)).name[:3] for i in range(120)]
    assert partition(data.groups) == partition(stains)
    parts_of = {stain: set(data.parts[[s == stain for s in stains]]) for stain in set(stains)}
    assert all(len(parts) == 1 for parts in parts_of.values())
    assert "20 groups of pictures of one stain" in caplog.text
    assert "pessimistic" in caplog.text
    other = module(folder, seed=1, patient_pattern=None, split_by="stain")
    assert other.groups == data.groups  # another seed deals them otherwise
    assert (other.parts != data.parts).any()
    assert (data.parts == module(folder, patient_pattern=None, split_by="stain").parts).all()


def test_no_coverage_is_promised_to_patients_whom_nobody_knows(folder: Path) -> None:
    asked = {"split_by": "stain", "calibration": 0.5, "patient_pattern": None}
    with pytest.raises(UsageError, match=r"^--data.calibration 0.5 with --data.split_by stain"):
        module(folder, **asked)


def test_who_is_known_needs_no_stain(folder: Path) -> None:
    with pytest.raises(CohortError, match=r"patient or slide is known.*split_by patient"):
        with_stain_groups(module(folder, patient_pattern=PATTERN).all_rows)


def test_intervals_and_reports_rest_on_stain_groups(folder: Path, tmp_path: Path) -> None:
    data = PatchDataModule(
        DataOptions(folder, split_by="stain", workers=0, fractions=(0.3, 0.2, 0.5))
    )
    rows = data.rows["test"]
    logits = np.random.default_rng(0).normal(size=(len(rows), 2)).astype(np.float32)
    test = Predictions(logits, np.zeros((len(rows), 6), np.float32))
    spec = replace(ModelSpec("lenet5", class_names=("a", "b")), seen={}, thresholds={})
    scores = outcome.write_scores(tmp_path, data, test, spec)
    trained = outcome.report(data, scores, test.colour, spec)
    assert trained.title == "stain groups, patients unknown, pessimistic"
    assert PESSIMISTIC in trained.notes
    assert (trained.patch.interval.unit, trained.patch.interval.groups) == ("stain groups", 10)
    assert trained.patch.figures["accuracy"].low is not None
    assert trained.seen["no"] == 0  # whether the patient was seen, nobody knows
    judged = judge(open_scores(tmp_path / "scores.h5"))
    evaluated = patch_report(judged, Resampling())
    assert judged.patient_ids == tuple(sorted(set(rows.stain_groups)))
    assert evaluated.figures == trained.patch.figures
    assert evaluated.interval == trained.patch.interval
    assert outcome.training_colours(data).patients == 0
