"""`histocnn search` from its configuration to the one look at the test patients."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from histocnn.cli import main
from histocnn.errors import TrainingError, UsageError
from histocnn.stages.probe import probe
from histocnn.stages.search import search
from tests.models.patch_files import PATTERN, write_folder
from tests.searching.configurations import write_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A grid of two by three over features."""
    folder = tmp_path_factory.mktemp("search")
    config = write_config(folder)
    return folder, config, search(config=config, out=folder / "out")


def test_a_grid_of_two_by_three_gives_exactly_its_six_trials(searched):
    folder, _, found = searched
    with (folder / "out" / "trials.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    tried = {(row["features.c"], row["features.use"]) for row in rows}
    assert tried == {(c, use) for c in ("0.001", "0.01", "0.1") for use in ("near", "far")}
    assert {row["state"] for row in rows} == {"complete"}
    assert len(found.rows) == len(rows) == 6
    best = max(rows, key=lambda row: float(row["value"]))
    assert found.result.trial == int(best["trial"])
    assert found.result.best.value is not None
    assert found.exit_code == 0


def test_the_best_configuration_is_one_that_the_stage_takes(searched, tmp_path, capsys):
    folder, _, found = searched
    told = yaml.safe_load((folder / "out" / "best.yaml").read_text())
    assert told["c"] == found.result.values["features.c"]
    assert probe(**told | {"out": tmp_path / "scores"}).exit_code == 0


def test_pictures_and_page_are_there(searched):
    out = searched[0] / "out"
    assert {path.stem for path in (out / "figures").glob("*.png")} == {
        "history", "importance", "parallel", "slices", "spread",
    }  # fmt: skip
    assert "6 trials: 6 complete." in (out / "search.html").read_text()


def test_a_second_call_tests_nobody_again_and_another_space_is_refused(searched, capsys):
    folder, config, found = searched
    before = (folder / "out" / "result.json").stat().st_mtime_ns
    assert search(config=config, out=folder / "out").result == found.result
    assert (folder / "out" / "result.json").stat().st_mtime_ns == before
    assert "searched already" in capsys.readouterr().out
    other = write_config(folder, {"features.c": [1, 2]}, name="other.yaml")
    assert main(["search", "--config", str(other), "--out", str(folder / "out")]) == 2
    said = capsys.readouterr().err
    assert "holds a search of another space (search.space.features.c" in said
    assert said.count("\n") == 1


def test_a_worker_concludes_nothing(tmp_path):
    config = write_config(tmp_path, {"features.c": [0.1, 1.0]})
    assert search(["--worker"], config=config, out=tmp_path / "out").result is None
    assert not (tmp_path / "out" / "result.json").exists()
    assert search(config=config, out=tmp_path / "out").result is not None


def test_that_all_trials_failed_is_said_with_the_reason(tmp_path):
    config = write_config(tmp_path, {"features.k": [500, 600], "features.method": ["knn"]})
    with pytest.raises(TrainingError, match=r"no trial came to an end, of 2 \(2 failed\): "):
        search(config=config, out=tmp_path / "out")
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_strangers_folder_is_left_alone(tmp_path):
    config = write_config(tmp_path, {"features.c": [0.1]})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "best.yaml").write_text("mine")
    with pytest.raises(UsageError, match="not made by search"):
        search(config=config, out=tmp_path / "out")


GUARD = """
import sys
import zipfile
def look(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)):
        name = args[0] if isinstance(args[0], str) else args[0].decode(errors="replace")
        if any(f"/{patient}_" in name for patient in TEST) and name.endswith(".png"):
            raise RuntimeError(f"a test patient's picture was opened: {name}")
sys.addaudithook(look)
"""


def configuration(folder: Path, space: dict, **more: object) -> Path:
    told = {
        "data": {"patches": str(folder / "disc"), "patient_pattern": PATTERN, "augment": "none",
                 "workers": 0, "batch_size": 8},
        "model": {"backbone": "lenet5", "weights": None},
        "trainer": {"max_epochs": 2, "accelerator": "cpu", "precision": "32-true",
                    "enable_progress_bar": False},
        "search": {"sampler": "grid", "folds": 2, "space": space, **more},
    }  # fmt: skip
    (folder / "search.yaml").write_text(json.dumps(told))
    return folder / "search.yaml"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_trainings_are_searched_without_a_look_at_the_test_patients_and_one_may_diverge(tmp_path):
    write_folder(tmp_path / "disc", patients=14, per_patient=2)
    config = configuration(tmp_path, {"model.learning_rate": [2e-3, 1e30]})
    command = [sys.executable, "-m", "histocnn.cli", "search", "--config", str(config),
               "--out", str(tmp_path / "out")]  # fmt: skip
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text("TEST = []\n" + GUARD)
    env = os.environ | {"PYTHONPATH": f"{guard}:{ROOT}"}
    # Who is of test is known once the folds are written; the first worker has no time for a trial.
    told = json.loads(config.read_text())
    told["search"]["minutes"] = 1e-9
    config.write_text(json.dumps(told))
    subprocess.run([*command, "--worker"], env=env, check=True)
    with (tmp_path / "out" / "split.csv").open() as lines:
        test = [row["group"] for row in csv.DictReader(lines) if row["split"] == "test"]
    assert test
    (guard / "sitecustomize.py").write_text(f"TEST = {test}\n" + GUARD)
    told["search"]["minutes"] = 60
    config.write_text(json.dumps(told))
    done = subprocess.run(
        [*command, "--worker"], env=env, check=True, capture_output=True, text=True
    )
    assert "trial 0: complete" in done.stdout
    assert "trial 1: fail" in done.stdout
    assert "became" in done.stdout
    (guard / "sitecustomize.py").write_text("")
    found = search(config=config, out=tmp_path / "out")  # the only look at them
    assert found.result.trial == 0
    assert found.result.best.value == 1.0
    made = yaml.safe_load((tmp_path / "out" / "best.yaml").read_text())
    assert made["model"]["learning_rate"] == 2e-3
    assert (tmp_path / "out" / "best" / "model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_search_over_probes_of_real_patches_is_not_surely_worse_than_the_hand_set_one(
    shared, tmp_path
):
    with zipfile.ZipFile(shared / "data/patches/idc-breast-50px.zip") as files:
        files.extractall(tmp_path)
    weights = shared / "weights/squeezenet1_1-imagenet.safetensors"
    command = [sys.executable, ROOT / "benchmarks/search_idc.py", "probes",
               "--patches", tmp_path / "idc", "--weights", weights, "--out", tmp_path]  # fmt: skip
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    gap = json.loads((tmp_path / "probes.json").read_text())
    assert gap["high"] >= -0.01  # AUROC on the fifth fold, paired by patient
