"""docs/lectures.md: its Python is Python, and every step runs on small data."""

from __future__ import annotations

import gzip
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from histocnn.models.backbones import build
from histocnn.models.spec import ModelSpec, save
from histocnn.phantom.cohort import make_cohort
from histocnn.stages.predict import predict
from histocnn.stages.tile import tile
from tests.models.small_networks import write_weights
from tests.test_docs import ROOT, commands, fences

PAGE = ROOT / "docs" / "lectures.md"
BLOCKS = fences(PAGE, "python")
# What makes a step a matter of seconds; a flag that comes twice counts as it stands last.
QUICK = {
    "train": ["--trainer.max_epochs", "1", "--data.workers", "0", "--trainer.accelerator", "cpu",
              "--trainer.enable_progress_bar", "false", "--data.max_per_class", "20"],
    "inspect": ["--steps", "1", "--most", "8"],
    "fool": ["--most", "8", "--made_up", "4", "--epsilons", "[4]", "--steps", "1"],
}  # fmt: skip


def test_there_is_a_step_for_every_lecture() -> None:
    steps = re.findall(r"^## (\d+)\. ", PAGE.read_text("utf-8"), re.MULTILINE)
    assert steps == [str(n) for n in range(1, 10)]
    told = {command.words[0] for command in commands(PAGE)}
    assert told >= {"train", "embed", "knn", "evaluate", "demo", "heatmap", "inspect", "fool"}


@pytest.mark.parametrize(("line", "code"), BLOCKS, ids=[f"line {line}" for line, _ in BLOCKS])
def test_the_python_of_the_lectures_is_python(line: int, code: str) -> None:
    compile(code, f"lectures.md:{line}", "exec")
    for module, names in re.findall(r"^from (\S+) import (.+)$", code, re.MULTILINE):
        home = importlib.import_module(module)
        assert all(hasattr(home, name) for name in names.split(", ")), (module, names)


def test_scripts_and_pictures_of_the_lectures_are_there() -> None:
    text = PAGE.read_text("utf-8")
    scripts = re.findall(r"^python (\S+)", text, re.MULTILINE)
    pictures = re.findall(r"!\[[^\]]+\]\((\S+)\)", text)
    assert scripts
    assert pictures
    assert all((ROOT / script).is_file() for script in scripts)
    assert all((PAGE.parent / picture).is_file() for picture in pictures)


def write_digits(folder: Path) -> None:
    """MNIST's four files, of 6,300 and 60 digits: bars in noise whose place is the digit."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for prefix, count in (("train", 6300), ("t10k", 60)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = rng.integers(0, 90, (count, 28, 28), np.uint8)
        for digit in range(10):
            images[digit::10, :, 2 + 2 * digit : 4 + 2 * digit] = 255
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            head = bytes([0, 0, 8, array.ndim]) + sizes
            with gzip.open(folder / f"{prefix}-{kind}-ubyte.gz", "wb") as file:
                file.write(head + array.tobytes())


def write_pictures(folder: Path) -> None:
    """Ten patients with pictures of both classes, 50 px, of which 1 is darker."""
    rng = np.random.default_rng(0)
    for patient in range(10):
        for label in "01":
            for number in range(6):
                path = folder / str(9000 + patient) / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                level = 200 - 60 * int(label)
                pixels = rng.integers(level - 40, level + 40, (50, 50, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(path)


def write_demo(out: Path) -> None:
    """What of the demo the lectures use, of random weights."""
    slides = make_cohort(out / "cohort", slides=7, patients=7, size_px=(1024, 1024))
    assert tile(slides, out / "grids", patch_px=112, mpp=1.0).exit_code == 0
    (out / "model").mkdir()
    torch.manual_seed(0)
    spec = ModelSpec("resnet18", class_names=("normal", "tumour"), patch_px=112, mpp=1.0)
    for path in (out / "model" / "model.safetensors", out / "adapted.safetensors"):
        save(path, build("resnet18", 2), spec)
    model = out / "model" / "model.safetensors"
    assert predict(out / "grids", model, out / "cnn" / "scores").exit_code == 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_step_of_the_lectures_runs(tmp_path: Path) -> None:
    for name in ("configs", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    write_digits(tmp_path / "lecture")
    write_pictures(tmp_path / "idc")
    write_weights(tmp_path / "squeezenet1_1-imagenet.safetensors", "squeezenet1_1")
    write_demo(tmp_path / "demo")  # demo itself: tests/test_demonstration.py
    steps = [
        [sys.executable, *line.split()[1:]]
        for line in re.findall(r"^python .+$", PAGE.read_text("utf-8"), re.MULTILINE)
    ]
    for command in commands(PAGE):
        if command.words[0] != "demo":
            quick = QUICK.get(command.words[0], [])
            steps.append([sys.executable, "-m", "histocnn.cli", *command.words, *quick])
    steps += [[sys.executable, "-c", code] for _, code in BLOCKS]
    surroundings = os.environ | {"PYTHONPATH": str(ROOT)}
    for step in steps:
        done = subprocess.run(
            step, cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (step, done.stdout[-1500:], done.stderr[-1500:])
