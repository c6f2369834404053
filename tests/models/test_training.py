"""The trainer keeps the user's loggers and callbacks beside ours; the errors are in our words."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import weakref

import pytest
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, Timer
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from histocnn.errors import TrainingError
from histocnn.models import training
from histocnn.models.parsing import parse
from histocnn.models.samples import PatchDataset
from histocnn.models.training import make_trainer, our_errors
from histocnn.stages.train import train
from tests.forked import exit_code, forked
from tests.killed import left_by_the_dead
from tests.models.patch_files import write_csv

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's and torch's of each other


def test_the_user_s_loggers_and_callbacks_come_beside_ours(tmp_path):
    words = ["--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", f"{tmp_path / 'mine'}",
             "--trainer.callbacks+=pytorch_lightning.callbacks.Timer",
             "--trainer.callbacks.interval=epoch", "--trainer.accelerator=cpu"]  # fmt: skip
    made = make_trainer(parse([f"--data.patches={tmp_path}", f"--out={tmp_path / 'out'}", *words]))
    ours, board, theirs = made.loggers
    assert isinstance(ours, CSVLogger)
    assert isinstance(board, TensorBoardLogger)
    assert ours.root_dir != theirs.root_dir
    assert str(tmp_path / "mine") in str(theirs.root_dir)
    kinds = {type(callback) for callback in made.callbacks}
    assert {Timer, EarlyStopping, ModelCheckpoint} <= kinds


def test_what_is_trained_is_not_trained_again_and_python_gets_the_report(tmp_path, capsys):
    options = {
        "out": tmp_path / "out",
        "data": {"patches": write_csv(tmp_path / "csv", {"train": 32, "val": 8, "test": 12}),
                 "workers": 0, "augment": "none"},
        "model": {"backbone": "lenet5", "weights": None},
        "trainer": {"max_epochs": 2, "accelerator": "cpu", "enable_progress_bar": False},
    }  # fmt: skip
    first = train(**options)
    shown = capsys.readouterr().out
    assert shown.index("patients") < shown.index("test split")  # the table comes first
    stored = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert first.report.best_epoch == stored["best_epoch"]
    made = (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns
    drawn = ("history.png", "confusion.png")  # as if killed before the last of it
    pictures = {name: (tmp_path / "out" / name).read_bytes() for name in drawn}
    for name in drawn:
        (tmp_path / "out" / name).unlink()
    left_by_the_dead(tmp_path / "out" / "confusion.png")
    again = train(**options)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in drawn} == pictures
    assert not list((tmp_path / "out").rglob("*.tmp"))
    assert "trained already" in capsys.readouterr().out
    assert (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns == made
    assert (again.report, again.outputs) == (first.report, first.outputs)
    assert "macro_auroc" in set(first.to_dataframe()["figure"])
    assert sorted(again.to_dataframe()["figure"]) == sorted(first.to_dataframe()["figure"])
    assert {path.name for path in again.outputs} >= {"model.safetensors", "history.png"}


def test_a_killed_loader_is_said_in_a_line_that_helps(tmp_path):
    """In a process of its own: torch's handler would tell a later test of the death again."""
    patches = write_csv(tmp_path / "csv", {"train": 32, "val": 8, "test": 12})

    def train_with_it():
        parent = os.getpid()

        def die(self, index):
            assert os.getpid() != parent
            os.kill(os.getpid(), signal.SIGKILL)

        PatchDataset.__getitem__ = die
        try:
            train(
                out=tmp_path / "out", data={"patches": patches, "workers": 1, "start": "fork"},
                model={"backbone": "lenet5", "weights": None},
                trainer={"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False},
            )  # fmt: skip
        except TrainingError as error:
            print("refused:", error)

    exit_code(forked(train_with_it, tmp_path / "said"))
    printed = (tmp_path / "said").read_text()
    said = [line for line in printed.splitlines() if line.startswith("refused:")]
    assert len(said) == 1, printed
    assert re.search(r"a loader of patches was killed.*--data\.workers", said[0])


def test_a_death_told_in_the_middle_of_something_else_is_said_so_too(tmp_path):
    other = TypeError("unsupported callable")  # as inspect raises from whatever comes up in it
    other.__cause__ = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
    with pytest.raises(TrainingError, match="a loader of patches was killed"), our_errors(tmp_path):
        raise other
    with pytest.raises(TypeError, match="another"), our_errors(tmp_path):
        raise TypeError("another")


def test_what_torch_tells_of_a_loader_too_early_is_not_printed(monkeypatch):
    class Thing:
        pass

    def dies(message):
        def die(_):
            raise RuntimeError(message)

        thing = Thing()
        return weakref.ref(thing, die)

    printed = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: printed.append(str(what.exc_value)))
    with training._told_once():
        dies("DataLoader worker (pid 7) is killed by signal: Killed. ")
        dies("another")
    dies("DataLoader worker (pid 8) is killed by signal: Killed. ")
    assert printed == ["another", "DataLoader worker (pid 8) is killed by signal: Killed. "]
