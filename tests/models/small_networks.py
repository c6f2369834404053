"""Networks that are small, and the same in every process: files of random but seeded weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from histocnn.models.backbones import build, embedder
from histocnn.models.infer import infer
from histocnn.models.runner import Runner
from histocnn.models.spec import ModelSpec, save
from histocnn.patches.patches import Patches


def write_weights(path: Path, name: str = "lenet5", seed: int = 0) -> Path:
    """Weights of a backbone."""
    torch.manual_seed(seed)
    save_file(build(name, 0).backbone.state_dict(), path)
    return path


def write_model(path: Path, **spec: object) -> Path:
    """A LeNet-5 for classes a and b, 28 px; `spec` changes what its file says of it."""
    torch.manual_seed(0)
    known = {"backbone": "lenet5", "class_names": ("a", "b"), "patch_px": 28, **spec}
    made = ModelSpec(**known)  # type: ignore[arg-type]
    save(path, build("lenet5", len(made.class_names)), made)
    return path


def feature_runner(folder: Path) -> Runner:
    """A LeNet-5 that gives features on the CPU; its weights lie in the folder."""
    network = embedder("lenet5", write_weights(folder / "lenet5.safetensors"))
    cpu = torch.device("cpu")
    return Runner(network, ModelSpec("lenet5"), cpu, False, lambda f: {"features": f})


def all_features(patches: Patches, runner: Runner, **how: int) -> np.ndarray:
    """Features of all rows, which come in order."""
    blocks = list(infer(patches, runner, **how))
    rows = np.concatenate([rows for rows, _ in blocks])
    assert rows.tolist() == list(range(len(patches)))
    return np.concatenate([arrays["features"] for _, arrays in blocks])
