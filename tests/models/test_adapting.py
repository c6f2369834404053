"""Batch norms brought to other patches: exact statistics, nothing else changed, nothing lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from histocnn.errors import ModelError, UsageError
from histocnn.models import adapting
from histocnn.models.adapting import adapt, check_target, draw, finished_spec, norms, weight
from histocnn.models.device import Engine
from histocnn.models.spec import ModelSpec
from histocnn.patches.patches import open_patches
from tests.grid_files import write_grid
from tests.models.patch_files import write_folder
from tests.models.small_networks import write_model

SPEC = ModelSpec("net", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
ENGINE = Engine("cpu", bf16=False, batch_size=4, threads=1, workers=1)


def network() -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(), nn.Conv2d(3, 2, 1)).eval()


def test_the_weight_grows_with_the_patches() -> None:
    assert [weight(n) for n in (0, 64, 192)] == [0, 0.5, 0.75]


def test_statistics_are_those_of_the_patches_and_of_training_by_weight() -> None:
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    pixels = np.zeros((64, 2, 2, 3), np.uint8)
    pixels[..., 0] = 51  # 0.2 everywhere
    pixels[:, 0, :, 1] = 255  # half of the pixels 0, half 1: mean 0.5, variance 0.25 × 256 / 255
    assert adapt(net, SPEC, pixels, batch_size=64) == 0.5
    norm = net[0]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    np.testing.assert_allclose(norm.running_mean, [0.1, 0.25, 0], atol=1e-6)
    np.testing.assert_allclose(norm.running_var, [0.5, 0.5 + 0.125 * 256 / 255, 0.5], atol=1e-6)
    assert norm.momentum == 0.1
    assert not any(module.training for module in net.modules())
    for name in ("0.weight", "0.bias", "2.weight", "2.bias"):
        assert torch.equal(net.state_dict()[name], before[name])


def test_an_adapted_network_undoes_another_light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapting, "PRIOR", 0)  # the new statistics alone
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()
    home = np.random.default_rng(0).integers(0, 200, (2000, 8, 8, 3), np.uint8)
    adapt(net, SPEC, home, batch_size=100)
    here = net(torch.from_numpy(home[:50]).permute(0, 3, 1, 2) / 255)
    away = (home * 0.5).astype(np.uint8)
    there = net(torch.from_numpy(away[:50]).permute(0, 3, 1, 2) / 255)
    assert (here - there).abs().mean() > 0.3 * here.std()
    adapt(net, SPEC, away, batch_size=100)
    there = net(torch.from_numpy(away[:50]).permute(0, 3, 1, 2) / 255)
    assert (here - there).abs().mean() < 0.02 * here.std()


def test_a_network_without_batch_norm_is_refused() -> None:
    assert norms(nn.Linear(2, 2)) == []
    with pytest.raises(ModelError, match="lenet5: has no batch norm"):
        adapt(nn.Linear(2, 2), ModelSpec("lenet5"), np.zeros((2, 2, 2, 3), np.uint8), 2)


def test_patches_are_drawn_from_all_alike_and_mixed(tmp_path: Path) -> None:
    write_grid(tmp_path, "s1", mpp=0.5)
    [images] = open_patches(write_folder(tmp_path / "images", patients=3))  # none like a slide's
    items = [*open_patches(tmp_path / "grids"), images]
    spec = ModelSpec("net", patch_px=28, mpp=0.5)
    drawn = draw(items, spec, 20, ENGINE, seed=0)
    files = {images.patch(row).tobytes() for row in range(len(images))}
    of = [each.tobytes() in files for each in drawn]
    assert (len(of), sum(of)) == (20, 10)
    assert of != sorted(of)
    assert np.array_equal(draw(items, spec, 20, ENGINE, seed=0), drawn)
    assert len(draw(items, spec, 10_000, ENGINE, seed=0)) == sum(map(len, items))
    with pytest.raises(ModelError, match="was trained on"):
        draw(items, ModelSpec("net", patch_px=999), 20, ENGINE, seed=0)


def test_nobodys_file_is_written_over(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.safetensors")
    ours = finished_spec(ModelSpec("lenet5", class_names=("a", "b")), 1, 20, 0.2)
    adapted = write_model(tmp_path / "adapted.safetensors", training=ours.training)
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    grids = tmp_path / "grids"
    check_target(tmp_path / "new.safetensors", model, grids / "s1.h5")
    check_target(adapted, model, grids / "s1.h5")
    grids.mkdir()
    with pytest.raises(UsageError, match="is the input"):
        check_target(grids / "new.safetensors", model, grids)
    for lies in (model, notes, tmp_path):
        with pytest.raises(UsageError, match="lies there already"):
            check_target(lies, model, grids)
    with pytest.raises(UsageError, match="lies there already"):
        check_target(adapted, adapted, grids)
