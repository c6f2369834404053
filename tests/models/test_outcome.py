from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histocnn.models import outcome
from histocnn.models.data import PatchDataModule
from histocnn.models.options import DataOptions
from histocnn.models.outcome import Predictions
from histocnn.models.spec import ModelSpec
from histocnn.scores.scored import read_scored
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


@pytest.mark.parametrize(
    ("options", "unit", "title"),
    [
        ({"patient_pattern": "(p[0-9]+)_"}, "patients", ""),
        ({"split_by": "file"}, "patches", "file-level split, patients unknown, optimistic"),
    ],
)
def test_figures_say_what_they_rest_on(tmp_path, options, unit, title):
    folder = write_folder(tmp_path / "images", per_patient=3)
    data = PatchDataModule(DataOptions(folder, workers=0, **options))
    rows = data.rows["test"]
    sure = np.eye(2, dtype=np.float32)[rows.labels]
    groups = [g for g, p in zip(data.groups, data.parts, strict=True) if p == "test"]
    found = outcome.report(data, sure, 1 - sure, {}, groups)
    assert found.patch.interval.unit == unit
    assert found.title == title
    assert found.patch.figures["accuracy"].value == 1
    assert found.colour_only.figures["accuracy"].value == 0
    gap = found.comparison.figures["accuracy"]
    if len(set(groups)) < 5:
        assert gap.p is None
        assert "fewer than 5" in found.patch.interval.note
    else:
        assert gap.difference == gap.low == gap.high == 1
