"""Going on from a checkpoint that is damaged, holds objects, or is another run's: one line."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch

from histocnn import cli
from histocnn.errors import TrainingError
from histocnn.models.checkpoints import read_checkpoint
from histocnn.stages.train import train
from tests.models.patch_files import write_csv

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's and torch's of each other


class Touch:
    """What unpickling would run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    listing = write_csv(folder / "csv", {"train": 32, "val": 8, "test": 12})
    words = [f"--data.patches={listing}", f"--out={folder / 'out'}", "--data.workers=0",
             "--data.augment=none", "--model.backbone=lenet5", "--model.weights=null",
             "--trainer.max_epochs=1", "--trainer.accelerator=cpu",
             "--trainer.enable_progress_bar=false",
             # Numbers of the flags' own types, which no checkpoint may hold.
             "--early_stopping.patience=3", "--model.weight_decay=0.05",
             "--model.learning_rate=0.001", "--model.warmup_epochs=0.5"]  # fmt: skip
    train(words)
    return words


@pytest.fixture
def last(words):
    out = Path(words[1].removeprefix("--out="))
    path = out / "checkpoints" / "last.ckpt"
    whole = path.read_bytes()
    metrics = (out / "metrics.json").read_bytes()
    yield path
    assert (out / "metrics.json").read_bytes() == metrics  # the finished run is as it was
    path.write_bytes(whole)


def without(path: Path, **changed: object) -> None:
    stored = torch.load(path, weights_only=True)
    torch.save({**{k: v for k, v in stored.items() if k not in changed or changed[k]}, **{
        k: v for k, v in changed.items() if v}}, path)  # fmt: skip


def flipped(content: bytes, start: int, count: int) -> bytes:
    return content[:start] + bytes(b ^ 0xFF for b in content[start : start + count]) + content[
        start + count :
    ]  # fmt: skip


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "text": lambda path: path.write_text("epoch: 1\n"),
    "flipped head": lambda path: path.write_bytes(flipped(path.read_bytes(), 100, 64)),
    "flipped middle": lambda path: path.write_bytes(
        flipped(path.read_bytes(), path.stat().st_size // 2, 4096)
    ),
    "flipped end": lambda path: path.write_bytes(
        flipped(path.read_bytes(), path.stat().st_size - 200, 100)
    ),
    "a list": lambda path: torch.save([1, 2], path),
    "weights alone": lambda path: torch.save(torch.load(path)["state_dict"], path),
    "no loops": lambda path: without(path, loops=None),
    "no optimizer": lambda path: without(path, optimizer_states=None),
    "epoch as text": lambda path: without(path, epoch="three"),
    "no tensors": lambda path: without(path, state_dict={"network.head.1.weight": 3}),
    "other shapes": lambda path: without(path, state_dict={"network.head.1.weight": torch.ones(2)}),
    "odd loops": lambda path: without(path, loops={"fit_loop": {"nonsense": 1}}),
    "odd optimizer": lambda path: without(path, optimizer_states=[{"state": {}}]),
    "odd scheduler": lambda path: without(path, lr_schedulers=[3]),
    "an old pickle": lambda path: path.write_bytes(b"\x80\x02}q\x00."),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_one_line_and_costs_nothing(words, last, damage, capsys):
    DAMAGE[damage](last)
    assert cli.main(["train", *words, "--ckpt_path", "last"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(last) in said
    assert "--overwrite" in said


def test_objects_in_a_checkpoint_are_refused_not_unpickled(words, last, tmp_path, capsys):
    without(last, callbacks={"x": Touch(tmp_path / "touched")})
    assert cli.main(["train", *words, f"--ckpt_path={last}"]) == 1
    assert "nothing is unpickled" in capsys.readouterr().err
    assert not (tmp_path / "touched").exists()


def test_another_network_or_another_optimizer_does_not_fit(words, last, capsys):
    for other, message in {
        "--model.backbone=mlp": "is of another network",
        "--model.optimizer=sgd": "does not fit these options .ValueError: another optimizer",
    }.items():
        assert cli.main(["train", *words, other, "--ckpt_path", "last"]) == 1
        assert re.search(message, capsys.readouterr().err)


def test_a_whole_one_is_read(last):
    stored = read_checkpoint(last)
    assert stored["epoch"] == 0
    with pytest.raises(TrainingError, match="cannot be read"):
        read_checkpoint(last.parent / "none.ckpt")
