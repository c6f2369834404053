"""Networks that are small, and the same in every process: files of random but seeded weights."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from histocnn.models.backbones import build
from histocnn.models.spec import ModelSpec, save


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
