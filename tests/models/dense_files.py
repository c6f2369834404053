"""A network without padding as a model file, and a folder of grids for it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from histocnn.models.backbones import build
from histocnn.models.spec import ModelSpec, save, to_input
from tests.models.valid_networks import valid_pooled
from tests.slide_files import position_image

NAME = "tests.models.dense_files:Valid"
SIDE_PX = 64  # 8 strides


class Valid(nn.Module):
    """Features of `valid_pooled`, stride 8."""

    width = 12

    def __init__(self) -> None:
        super().__init__()
        self.layers: nn.Module = valid_pooled()[:-2]  # type: ignore[index]

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, 12]."""
        features: Tensor = self.layers(images)
        return features


def write_valid(path: Path, patch_px: int = SIDE_PX, **spec: object) -> Path:
    """Two classes that are both called for some patches; `spec` changes what its file says."""
    torch.manual_seed(0)
    network = build(NAME, 2)
    spec_of = ModelSpec(NAME)
    patches = [position_image(400, 400)[at : at + patch_px, at : at + patch_px] for at in (0, 300)]
    with torch.no_grad():
        features = [
            network.backbone(to_input(torch.from_numpy(patch[None].copy()), spec_of))[0]
            for patch in patches
        ]
        head: nn.Linear = network.head[1]  # type: ignore[index, assignment]
        direction = features[1] - features[0]  # the classes are the two corners of the picture
        direction = 2 * direction / direction.dot(direction)
        head.weight[:] = torch.stack([-direction, direction])
        head.bias[:] = -head.weight @ (features[0] + features[1]) / 2
    known = {"backbone": NAME, "class_names": ("a", "b"), "patch_px": patch_px, **spec}
    save(path, network, ModelSpec(**known))  # type: ignore[arg-type]
    return path
