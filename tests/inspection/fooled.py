"""Networks whose gradient is known by hand, and a bench of small patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from histocnn.inspection.bench import Bench, bench_of
from histocnn.inspection.drawing import Division, candidates, divide
from histocnn.inspection.fool_report import Options
from histocnn.inspection.on_pixels import OnPixels
from histocnn.models.networks import Network
from histocnn.models.spec import ModelSpec, load
from histocnn.patches.patches import open_patches
from tests.models.patch_files import PATTERN, write_folder
from tests.models.small_networks import write_model

FEW = Options(most=24, made_up=4, epsilons=(1, 8), steps=3)


class Linear(nn.Module):
    """Two classes: logits (0, w · x), so that the gradient of the second's log-odds is w."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)  # [3, H, W]

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits [B, 2]."""
        second = (pixels * self.weight).sum((1, 2, 3))
        return torch.stack([torch.zeros_like(second), second], dim=1)


class Rounds(nn.Module):
    """A backbone behind a step that has no gradient: [B, 3, h, w] → [B, 3]."""

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, 3]."""
        return images.round().mean((2, 3)).detach()


def on_pixels(backbone: nn.Module, width: int, **spec: object) -> OnPixels:
    """A network of this backbone with a seeded head for classes a and b."""
    torch.manual_seed(0)
    known = {"mean": (0.0,) * 3, "std": (1.0,) * 3, "class_names": ("a", "b"), **spec}
    return OnPixels(Network(backbone, width, 2), ModelSpec("mine", **known))  # type: ignore[arg-type]


def patches_of(folder: Path, patients: int = 6) -> Path:
    """28 px patches of classes a and b, two of each for every patient."""
    return write_folder(folder, patients=patients, per_patient=2)


def divided(folder: Path, spec: ModelSpec, pattern: str | None = PATTERN) -> Division:
    """These patches, half to be judged."""
    return divide(candidates(open_patches(folder, patient_pattern=pattern), spec), spec)


def small_bench(folder: Path, options: Options = FEW) -> tuple[Bench, Division]:
    """LeNet-5, made sure by its temperature, and the patches of six patients."""
    network, spec = load(write_model(folder / "model.safetensors", temperature=0.02))
    division = divided(patches_of(folder / "patches"), spec)
    return bench_of(OnPixels(network, spec), division, options, batch_size=8), division


def grey(value: int, count: int = 2, side_px: int = 4) -> np.ndarray:
    """Pictures of one grey level, uint8."""
    return np.full((count, side_px, side_px, 3), value, np.uint8)
