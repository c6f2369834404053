"""histocnn adapt: an adapted model is a model, and only its batch norms are others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from histocnn.cli import main
from histocnn.models.backbones import build
from histocnn.models.spec import ModelSpec, load, read_spec, save
from histocnn.stages.adapt import adapt
from histocnn.storage import store
from tests.grid_files import write_grid

NAME = "shufflenet_v2_x0_5"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapt")
    write_grid(folder, "s1")
    spec = ModelSpec(NAME, class_names=("a", "b"), training={"seed": 3}, temperature=2.0)
    torch.manual_seed(0)
    save(folder / "model.safetensors", build(NAME, 2), spec)
    return folder


def words(place: Path, out: Path) -> list[str]:
    model = place / "model.safetensors"
    return ["adapt", "--patches", str(place / "grids"), "--model", str(model), "--out", str(out)]


def test_an_adapted_model_differs_in_its_batch_norms_alone(place, tmp_path, capsys):
    out = tmp_path / "adapted.safetensors"
    assert main([*words(place, out), "--most", "20", "--batch_size", "8"]) == 0
    said = capsys.readouterr().out
    assert "batch norms of 20 patches, 24%" in said
    assert "One slide alone" in said
    assert "training's statistics keep 76%" in said
    (before, old), (after, new) = load(place / "model.safetensors"), load(out)
    changed = {
        name.rsplit(".", 1)[1]
        for (name, a), b in zip(
            before.state_dict().items(), after.state_dict().values(), strict=True
        )
        if not torch.equal(a, b)
    }
    assert changed <= {"running_mean", "running_var", "num_batches_tracked"}
    assert {"running_mean", "running_var"} <= changed
    assert new.training == {"seed": 3, "adapted": {"slides": 1, "patches": 20, "weight": 0.2381}}
    assert (new.temperature, new.class_names) == (old.temperature, old.class_names)
    predict = ["predict", "--patches", str(place / "grids"), "--out", str(tmp_path / "scores")]
    assert main([*predict, "--model", str(out)]) == 0
    assert "adapted" in store.attributes(tmp_path / "scores" / "s1.h5")["training"]


def test_a_network_without_batch_norm_and_a_file_of_others_are_refused(place, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(words(place, tmp_path / "mine.txt")) == 2
    assert "lies there already" in capsys.readouterr().err
    save(tmp_path / "l.safetensors", build("lenet5", 2), ModelSpec("lenet5", class_names=("a",)))
    line = ["--patches", str(place / "grids"), "--model", str(tmp_path / "l.safetensors")]
    assert main(["adapt", *line, "--out", str(tmp_path / "o.safetensors")]) == 1
    assert "l.safetensors" in capsys.readouterr().err
    assert not (tmp_path / "o.safetensors").exists()
    assert read_spec(place / "model.safetensors").training == {"seed": 3}


def test_the_same_patches_give_the_same_file(place, tmp_path):
    model, made = place / "model.safetensors", []
    for _ in range(2):  # our own may be written again
        result = adapt(place / "grids", model, tmp_path / "adapted.safetensors", most=20)
        assert (result.outputs, result.exit_code) == ([tmp_path / "adapted.safetensors"], 0)
        made.append(result.outputs[0].read_bytes())
    assert made[0] == made[1]
