"""People's own classes: only as typed, only of the class asked for, never by a file's word."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch import nn

from histocnn import cli
from histocnn.errors import ModelError, UsageError
from histocnn.models.custom import check_typed, construct
from histocnn.models.spec import read_spec
from histocnn.stages.train import train
from histocnn.storage import store
from tests.models.patch_files import write_csv
from tests.test_docs import ROOT, fences

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's and torch's of each other


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("os:system", "is no torch.nn.*Name a subclass of Module"),
        ("builtins:dict", "is no torch.nn"),
        ("nowhere:Net", "nowhere cannot be imported"),
        ("torch.nn:Nonsense", "is not there"),
        ("Net", "is no class. Give it as package.module:Class"),
        ("torch.nn:", "is no class"),
    ],
)
def test_nothing_but_the_class_asked_for_is_called(path, message):
    with pytest.raises(UsageError, match=message):
        construct("--backbone", path, nn.Module, {})


def test_arguments_that_the_class_refuses_are_said():
    with pytest.raises(UsageError, match=r"--model\.loss torch\.nn\.Linear: .*init_args"):
        construct("--model.loss", "torch.nn.Linear", nn.Module, {"nonsense": 1})


def test_what_an_argument_names_is_constructed_by_the_same_rule():
    layer = {"encoder_layer": {"class_path": "torch.nn.Identity"}, "num_layers": 2}
    made = construct("--model.loss", "torch.nn.TransformerEncoder", nn.Module, layer)
    assert isinstance(made.layers[0], nn.Identity)
    for path in ("os.getcwd", "subprocess.Popen"):
        bad = {"encoder_layer": {"class_path": path}, "num_layers": 2}
        with pytest.raises(UsageError, match=f"{path}: is no torch.nn"):
            construct("--model.loss", "torch.nn.TransformerEncoder", nn.Module, bad)


def test_what_a_file_names_must_be_typed_again():
    check_typed("m", "resnet18", None)
    check_typed("m", "resnet18", "resnet18")
    check_typed("m", "lab:Net", "lab:Net")
    with pytest.raises(ModelError, match=r"m: is of the network lab:Net, .*add --backbone lab:Net"):
        check_typed("m", "lab:Net", None)
    with pytest.raises(ModelError, match="hf-hub:ORG/NAME, which the hub would be asked for"):
        check_typed("m", "hf-hub:ORG/NAME", None)
    check_typed("m", "hf-hub:ORG/NAME", "hf-hub:ORG/NAME")
    for name in ("hf_hub:ORG/NAME", "local-dir:/etc"):
        with pytest.raises(ModelError, match="would be asked for, or a folder"):
            check_typed("m", name, None)
    with pytest.raises(ModelError, match="lab:Net, not evil:Net"):
        check_typed("m", "lab:Net", "evil:Net")
    with pytest.raises(ModelError, match=r"is of resnet18, not of lab:Net.*Leave --backbone out"):
        check_typed("m", "resnet18", "lab:Net")


def test_the_network_of_the_docs_is_trained_and_used_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mynets", raising=False)
    (code,) = [c for _, c in fences(ROOT / "docs/configuration.md", "python") if "mynets" in c]
    Path("mynets.py").write_text(code)
    listing = write_csv(tmp_path / "images", {"train": 32, "val": 8, "test": 12})
    result = train(
        out="model",
        data={"patches": listing, "workers": 0, "augment": "none"},
        model={"backbone": "mynets:Small", "weights": None,
               "loss": {"class_path": "torch.nn.MultiMarginLoss", "init_args": {"margin": 0.5}}},
        trainer={"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False},
    )  # fmt: skip
    model = "model/model.safetensors"
    assert Path(model) in result.outputs
    assert read_spec(model).backbone == "mynets:Small"
    monkeypatch.delitem(sys.modules, "mynets")
    used = ["--patches", str(listing), "--model", model, "--device", "cpu"]
    for stage, found, width in (("predict", "scores", 2), ("embed", "features", 16)):
        words = [stage, *used, "--out", stage]
        assert cli.main(words) == 1
        assert "add --backbone mynets:Small" in capsys.readouterr().err
        assert cli.main([*words, "--backbone", "mynets:Other"]) == 1
        assert "mynets" not in sys.modules  # nothing was imported by the file's word
        assert cli.main([*words, "--backbone", "mynets:Small"]) == 0
        monkeypatch.delitem(sys.modules, "mynets")
        (file,) = Path(stage).glob("*.h5")
        assert store.read(file)[found].shape == (52, width)
