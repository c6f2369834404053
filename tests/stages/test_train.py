from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch

from histocnn import cli
from histocnn.errors import TrainingError
from histocnn.metrics.report import Report
from histocnn.models.classifier import Classifier
from histocnn.models.run_folder import checkpoint, curves
from histocnn.models.spec import load
from histocnn.stages.train import train
from histocnn.storage import store
from tests.forked import exit_code, forked
from tests.models.patch_files import write_csv

# Lightning 2.6 under torch 2.15 uses what torch deprecates; its advice is for others.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{category}:{module}")
    for category in ("DeprecationWarning", "FutureWarning", "UserWarning")
    for module in ("pytorch_lightning.*", "lightning_fabric.*", "torch.*", "jsonargparse.*")
]
SCHEMA = Path(__file__).parents[2] / "docs" / "metrics.schema.json"
CPU = ["--trainer.accelerator", "cpu", "--trainer.precision", "32-true",
       "--trainer.enable_progress_bar", "false", "--data.workers", "0"]  # fmt: skip
LENET = ["--model.backbone", "lenet5", "--model.weights", "null", "--model.learning_rate", "2e-3"]


@pytest.fixture(scope="module")
def listing(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("csv"), {"train": 96, "val": 33, "test": 101})


def words(listing: Path, out: Path, *more: str) -> list[str]:
    return [*CPU, *LENET, "--data.patches", str(listing), "--data.batch_size", "16", "--out",
            str(out), *more]  # fmt: skip


@pytest.fixture(scope="module")
def run(listing, tmp_path_factory):
    """An uninterrupted run of four epochs with dropout and augmentation."""
    out = tmp_path_factory.mktemp("run")
    result = train(words(listing, out, *FOUR))
    assert result.exit_code == 0
    return out


FOUR = ["--trainer.max_epochs", "4", "--model.dropout", "0.3", "--data.augment", "light"]


def test_what_a_run_leaves(run):
    left = {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()}
    assert left >= {
        "model.safetensors", "metrics.json", "scores.h5", "split.csv", "config.yaml", "history.png",
        "confusion.png", "checkpoints/best.ckpt", "checkpoints/last.ckpt",
        "logs/version_0/metrics.csv",
    }  # fmt: skip
    assert any("tfevents" in name for name in left)


def test_the_model_knows_how_it_is_used(run, listing):
    network, spec = load(run / "model.safetensors")
    assert network(torch.zeros(1, 3, 28, 28)).shape == (1, 2)
    assert spec.class_names == ("a", "b")
    assert spec.patch_px == 28
    assert spec.temperature > 0
    assert set(spec.thresholds["b"]) == {"sensitivity_95", "specificity_95", "youden"}
    assert spec.seen["train"]["patients"] == [f"train{i}" for i in range(10)]
    assert spec.seen["val"]["patients"] == [f"val{i}" for i in range(10)]
    assert spec.training["prior"] == {"a": 0.5, "b": 0.5}


def test_scores_and_metrics_are_of_the_test_split(run):
    found, attributes = store.read(run / "scores.h5"), store.attributes(run / "scores.h5")
    assert found["scores"].shape == (101, 2)
    assert np.allclose(found["scores"].sum(1), 1, atol=1e-5)
    assert attributes["scores.class_names"] == ["a", "b"]
    assert set(found["patient_ids"]) == {f"test{i}" for i in range(10)}
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["patch"]["n"] == 101
    accuracy = (found["scores"].argmax(1) == found["labels"]).mean()
    own, colour = (metrics[name]["figures"]["accuracy"] for name in ("patch", "colour_training"))
    assert own["value"] == pytest.approx(accuracy)
    assert own["value"] > 0.85
    assert colour["value"] < 0.75  # the classes are of the same colours
    assert own["low"] <= accuracy <= own["high"]
    interval = metrics["patch"]["interval"]
    assert (interval["unit"], interval["groups"]) == ("patients", 10)
    assert (metrics["split"], metrics["unreadable"], metrics["title"]) == ("test", [], "")
    jsonschema.validate(metrics, json.loads(SCHEMA.read_text()))


def test_interrupted_and_resumed_equals_uninterrupted(run, listing, tmp_path, monkeypatch):
    begin = Classifier.on_train_epoch_start

    def killed(self):
        if self.current_epoch == 2:
            raise SystemExit("killed")
        begin(self)

    monkeypatch.setattr(Classifier, "on_train_epoch_start", killed)
    with pytest.raises(SystemExit, match="killed"):
        train(words(listing, tmp_path, *FOUR, "--ckpt_path", "last"))
    monkeypatch.setattr(Classifier, "on_train_epoch_start", begin)
    torch.rand(1000)  # whatever happened in between
    train(words(listing, tmp_path, *FOUR, "--ckpt_path", "last"))
    mine, whole = (
        torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for out in (tmp_path, run)
    )
    for name, tensor in whole.items():
        assert torch.equal(mine[name], tensor), name
    mine = curves(tmp_path / "logs")
    assert [epoch for epoch, _ in mine["val_loss"]] == list(range(4))
    assert mine["train_loss"] == curves(run / "logs")["train_loss"]


@pytest.fixture(scope="module")
def plain(listing, tmp_path_factory):
    out = tmp_path_factory.mktemp("plain")
    train(words(listing, out, *TWO))
    return out


TWO = ["--trainer.max_epochs", "2", "--data.augment", "light", "--anonymise", "true"]


def started_by_lightning(command: list[str], folder: Path) -> None:
    """One command, of which Lightning starts the second process."""
    script = folder / "main.py"
    script.write_text("import sys; from histocnn.cli import main; sys.exit(main())")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1",
                                "PYTHONPATH": str(Path(__file__).parents[2])}  # fmt: skip
    done = subprocess.run(
        [sys.executable, script, *command],
        env=environment, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def started_by_others(command: list[str], folder: Path) -> None:
    """Both processes as torchrun or Slurm would start them, but without an import of torch each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}

    def take_part(rank: int) -> None:
        os.environ.update(where, NODE_RANK="0", LOCAL_RANK=str(rank))
        sys.exit(cli.main(command))

    said = [folder / f"rank{rank}" for rank in range(2)]
    ranks = [forked(partial(take_part, rank), said[rank]) for rank in range(2)]
    codes = [exit_code(process) for process in ranks]
    assert codes == [0, 0], [path.read_text()[-3000:] for path in said]


@pytest.mark.parametrize(
    "start", [started_by_others, pytest.param(started_by_lightning, marks=pytest.mark.slow)]
)
def test_two_processes_equal_one_and_count_101_as_101(plain, listing, tmp_path, start):
    both = words(listing, tmp_path / "out", *TWO)
    both[both.index("16")] = "8"  # per process: the same batches in all
    start(["train", *both, "--trainer.devices", "2", "--trainer.strategy", "ddp"], tmp_path)
    found = store.read(tmp_path / "out" / "scores.h5")
    expected = store.read(plain / "scores.h5")
    assert found["paths"] == expected["paths"]
    assert np.allclose(found["scores"], expected["scores"], atol=1e-3)
    reports = [
        Report.from_json((out / "metrics.json").read_text()) for out in (tmp_path / "out", plain)
    ]
    assert reports[0].patch.n == reports[1].patch.n == 101
    auroc = [report.patch.figures["macro_auroc"].value for report in reports]
    assert auroc[0] == pytest.approx(auroc[1], abs=2e-3)
    colour = [report.colour_training.figures["accuracy"].value for report in reports]
    assert colour[0] == colour[1]


def test_ids_can_be_salted(plain):
    _, spec = load(plain / "model.safetensors")
    assert "train0" not in spec.to_json()
    assert spec.seen_as("", "train0") == "train"
    assert spec.seen_as("", "test0") == "no"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(listing, tmp_path):
    with pytest.raises(TrainingError, match=r"(?i)gpu.*--trainer\.accelerator cpu"):
        train([*words(listing, tmp_path), "--trainer.accelerator", "gpu"])


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"),
     RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")],
)  # fmt: skip
def test_a_batch_that_does_not_fit_says_what_to_lower(listing, tmp_path, monkeypatch, error):
    def exhausted(self, batch, index):
        raise error

    monkeypatch.setattr(Classifier, "training_step", exhausted)
    with pytest.raises(TrainingError, match=r"does not fit the memory.*--data\.batch_size"):
        train(words(listing, tmp_path))


def test_checkpoints_that_are_not_there(tmp_path, caplog):
    assert checkpoint("last", tmp_path) is None
    assert "begins at the start" in caplog.text
    with pytest.raises(TrainingError, match="no such checkpoint"):
        checkpoint("elsewhere.ckpt", tmp_path)


@pytest.mark.parametrize("name", ["train", "linear_probe", "lenet5_mnist", "mlp_mnist"])
def test_shipped_configs_are_short_and_valid(name, capsys):
    path = Path(__file__).parents[2] / "configs" / f"{name}.yaml"
    assert len(path.read_text().splitlines()) <= 40
    with pytest.raises(SystemExit) as stop:
        train(["--config", str(path), "--print_config"])
    assert stop.value.code == 0
    assert "max_epochs" in capsys.readouterr().out


def test_a_misspelt_option_is_wrong_usage(listing, tmp_path, capsys):
    assert cli.main(["train", *words(listing, tmp_path), "--data.batchsize", "3"]) == 2
    assert "batchsize" in capsys.readouterr().err
