"""Words and YAML → options: what is refused, and that torch is not needed to say so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from histocnn.errors import UsageError
from histocnn.models.options import DataOptions, ModelOptions
from histocnn.models.parsing import as_words, parse

ROOT = Path(__file__).parents[2]


def parsed(*words: str):
    return parse([f"--data.patches={ROOT / 'tests'}", *words])


def test_a_file_a_flag_after_it_and_a_default(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "data: {batch_size: 8, workers: 1}\ntrainer: {max_epochs: 3}\n"
    )
    found = parsed("--config", str(tmp_path / "c.yaml"), "--data.workers", "0", "--overwrite")
    assert (found.data.batch_size, found.data.workers) == (8, 0)
    assert found.trainer["max_epochs"] == 3
    assert found.model == ModelOptions()
    assert found.run.overwrite
    assert "overwrite" not in found.text


def test_the_text_alone_gives_the_same_options(tmp_path):
    loss = "{class_path: torch.nn.MultiMarginLoss, init_args: {p: 2}}"
    words = ["--model.weights", "null", "--data.fractions", "[0.6, 0.2, 0.2]", "--model.loss", loss]
    found = parsed(*words)
    (tmp_path / "config.yaml").write_text(found.text)
    again = parse(["--config", str(tmp_path / "config.yaml")])
    assert again == found
    assert again.model.loss == {"class_path": "torch.nn.MultiMarginLoss", "init_args": {"p": 2}}


def test_python_s_keywords_are_the_same_options():
    named = {
        "data": DataOptions(ROOT / "tests", fractions=(0.5, 0.25, 0.25), workers=0),
        "model": {"weights": None, "backbone": "lenet5"},
        "trainer.max_epochs": 2,
        "seed_everything": 3,
    }
    found = parse(as_words(named))
    assert found.data == named["data"]
    assert found.model == ModelOptions("lenet5", None)
    assert (found.trainer["max_epochs"], found.run.seed_everything) == (2, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data.batchsize", "3"], "data.batchsize"),
        (["--data.batch_size", "0"], "batch_size"),
        (["--model.dropout", "1.5"], "dropout"),
        (["--model.optimizer", "adam"], "optimizer"),
        (["--trainer.max_epochs", "many"], "max_epochs"),
        (["--early_stopping.monitor", "val_f1"], "monitor"),
        (["--data.slides", "nowhere.csv"], r"--data\.slides nowhere\.csv: there is no such file"),
        (["--model.weights", "w.pth"], r"--model\.weights w\.pth: there is no such file"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_what_cannot_be_meant_is_one_line_of_wrong_usage(words, message):
    with pytest.raises(UsageError, match=message) as error:
        parsed(*words)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


PROGRAM = """
import sys
from histocnn.cli import main
for words, code in {cases}:
    try:
        ended = main(words)
    except SystemExit as stop:
        ended = stop.code
    assert ended == code, (words, ended)
    heavy = {{"torch", "pytorch_lightning", "albumentations"}} & set(sys.modules)
    assert not heavy, f"{{words}}: loaded {{heavy}}"
"""
PATCHES = ["--data.patches", "tests"]
LOGGER = ["--trainer.logger.class_path", "CSVLogger", "--trainer.logger.init_args.name", "a"]


def test_help_and_refusals_load_neither_torch_nor_lightning(tmp_path):
    (tmp_path / "parts.yaml").write_text(
        "trainer: {max_steps: 3, callbacks: [{class_path: pytorch_lightning.callbacks.Timer}]}"
    )
    (tmp_path / "slip.yaml").write_text("trainer: {max_stepz: 3}")
    cases = [
        (["--help"], 0),
        (["--config", "configs/train.yaml", "--print_config"], 0),
        (["--data.batch_size", "many"], 2),
        (["--config", "configs/train.yaml", "--data.patches", "nowhere"], 2),
        ([*PATCHES, "--trainer.maxepochs", "3"], 2),
        ([*PATCHES, "--trainer.max_steps", "many"], 2),
        ([*PATCHES, *LOGGER, "--data.batch_size", "0"], 2),
        ([*PATCHES, "--config", str(tmp_path / "slip.yaml")], 2),
        (["--config", str(tmp_path / "parts.yaml")], 2),  # no patches
        ([*PATCHES, "--trainer.max_epochs", "-1", "--model.backbone", "resnet19"], 2),
        ([*PATCHES, "--data.augment", "strong"], 2),
    ]
    program = PROGRAM.format(cases=[(["train", *words], code) for words, code in cases])
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_help_all_adds_lightning_s_own(capsys):
    with pytest.raises(SystemExit) as stop:
        parse(["--help=all"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert "--trainer.limit_val_batches" in shown
    assert "--trainer.callbacks" in shown


@pytest.mark.parametrize(
    ("words", "mode"),
    [
        ([], "min"),
        (["--early_stopping.monitor", "val_auroc"], "max"),
        (["--early_stopping.monitor", "val_accuracy"], "max"),
        (["--early_stopping.monitor", "train_loss"], "min"),
        (["--early_stopping.monitor", "val_auroc", "--early_stopping.mode", "min"], "min"),
    ],
)
def test_the_best_epoch_is_the_highest_auroc_and_the_lowest_loss_unless_said_otherwise(words, mode):
    found = parsed(*words)
    assert found.early_stopping.mode == mode
    assert f"mode: {mode}" in found.text
