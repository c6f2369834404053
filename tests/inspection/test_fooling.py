"""All trials of a model, their figures beside each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from histocnn.errors import ModelError
from histocnn.inspection import fooling, trials
from histocnn.inspection.detectors import DETECTORS
from histocnn.inspection.fool_report import Options
from histocnn.models.backbones import build
from histocnn.models.device import Engine
from histocnn.models.spec import ModelSpec, save
from histocnn.patches.patches import open_patches
from tests.inspection.fooled import FEW, PATTERN, patches_of, small_bench
from tests.models.small_networks import write_model

ENGINE = Engine("cpu", False, batch_size=8, threads=1, workers=1)


def test_figures_are_those_of_the_pictures(tmp_path):
    bench, division = small_bench(tmp_path)
    told = []
    report, exhibits = fooling.fool_network(bench, division, "m", told.append)
    assert tuple(told) == report.trials
    assert (report.judged, report.reference, report.truth) == (12, 12, "labels")
    assert set(exhibits) == {trial.name for trial in report.trials}
    by_name = {trial.name: trial for trial in report.trials}
    noise = next(m for m in trials.everything(bench) if m.name == "uniform noise")
    odd, _ = bench.shown(noise.pixels, derived=False)
    tissue, _ = bench.shown(bench.patches, derived=True)
    found = by_name["uniform noise"]
    for name in DETECTORS:
        both = np.concatenate([odd.scores[name], tissue.scores[name]])
        expected = roc_auc_score(np.arange(16) < 4, both)
        assert found.figures[f"auroc_{name}"].value == pytest.approx(expected)
    assert found.figures["confidence"].value == pytest.approx(odd.confidence.mean())
    assert sum(found.called.values()) == found.n == 4
    assert by_name["tissue as it is"].figures["accuracy"].value == tissue.right.mean()
    rows = fooling.rows_of(report)
    assert [row["name"] for row in rows] == [trial.name for trial in report.trials]
    assert rows[0]["accuracy"] == tissue.right.mean()


def test_a_network_without_convolution_works(tmp_path, capsys):
    torch.manual_seed(0)
    spec = ModelSpec("mlp", class_names=("a", "b"), patch_px=28)
    save(tmp_path / "m.safetensors", build("mlp", 2), spec)
    items = open_patches(patches_of(tmp_path / "p", patients=4), patient_pattern=PATTERN)
    few = Options(most=8, made_up=2, epsilons=(8,), steps=2)
    report, _ = fooling.fool_model(tmp_path / "m.safetensors", items, few, ENGINE)
    assert {trial.kind for trial in report.trials} == {
        "tissue", "attack", "change", "noise", "ascent",
    }  # fmt: skip
    assert capsys.readouterr().out.count("\n") == len(report.trials)


def test_a_reference_is_what_the_detectors_learn_from(tmp_path):
    model = write_model(tmp_path / "m.safetensors")
    items = open_patches(patches_of(tmp_path / "p"), patient_pattern=PATTERN)
    others = open_patches(patches_of(tmp_path / "r", patients=9), patient_pattern=PATTERN)
    report, _ = fooling.fool_model(model, items, FEW, ENGINE, reference=others)
    assert (report.judged, report.reference) == (24, 12)
    assert "without the 24 patches of judged patients" in report.reference_is


def test_models_of_one_class_and_patches_of_another_scale_are_refused(tmp_path):
    items = open_patches(patches_of(tmp_path / "p"), patient_pattern=PATTERN)
    one: Path = write_model(tmp_path / "one.safetensors", class_names=("a",))
    with pytest.raises(ModelError, match=r"has the classes a, .* two classes"):
        fooling.fool_model(one, items, FEW, ENGINE)
    other = write_model(tmp_path / "other.safetensors", patch_px=56)
    with pytest.raises(ModelError, match="28 px, and the model was trained on 56 px"):
        fooling.fool_model(other, items, FEW, ENGINE)
