"""A network without padding as a model file, and a folder of grids for it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from histocnn.models.backbones import build
from histocnn.models.preparation import to_input
from histocnn.models.spec import ModelSpec, save
from tests.models.valid_networks import valid_lenet, valid_pooled, valid_residual, valid_vgg
from tests.slide_files import position_image

NAME = "tests.models.dense_files:Valid"
SIDE_PX = 64  # 8 strides


class Valid(nn.Module):
    """Features of `valid_pooled`, stride 8."""

    width = 12

    def __init__(self) -> None:
        super().__init__()
        self.layers: nn.Module = self.made()

    def made(self) -> nn.Module:
        """The network up to its last linear layer."""
        return _without_head(valid_pooled())

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, width]."""
        features: Tensor = self.layers(images)
        return features


class Lenet(Valid):
    """Features of `valid_lenet`: 28 px, stride 4."""

    width = 20

    def made(self) -> nn.Module:
        """The network up to its last linear layer."""
        return _without_head(valid_lenet())


class Vgg(Valid):
    """Features of `valid_vgg`: 52 px, stride 4."""

    width = 16

    def made(self) -> nn.Module:
        """The network up to its last linear layer."""
        return _without_head(valid_vgg())


class Residual(Valid):
    """Features of `valid_residual`: 40 px, stride 4."""

    width = 10

    def made(self) -> nn.Module:
        """The network up to its last linear layer."""
        return _without_head(valid_residual())


class Padded(Valid):
    """Stride 8 with padding, so that it takes the smallest patch."""

    def made(self) -> nn.Module:
        """The network up to its last linear layer."""
        return nn.Sequential(
            nn.Conv2d(3, 8, 5, 4, padding=2), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, padding=1),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip


class Cramped(Valid):
    """For whose regions beyond a side there is no memory; a GPU's error is raised in its place."""

    most_px = 140

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, width]."""
        if min(images.shape[2:]) > self.most_px:
            raise torch.OutOfMemoryError
        return super().forward(images)


class MoreCramped(Cramped):
    """The same, with less."""

    most_px = 100


def _without_head(network: nn.Module) -> nn.Module:
    last = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)][-1]
    network.set_submodule(last, nn.Identity())
    return network


def write_valid(path: Path, patch_px: int = SIDE_PX, **spec: object) -> Path:
    """A `Valid` for two classes."""
    return write_decided(path, NAME, patch_px, **spec)


def write_decided(path: Path, backbone: str, patch_px: int, **spec: object) -> Path:
    """Two classes that are both called for some patches; `spec` changes what its file says."""
    torch.manual_seed(0)
    network = build(backbone, 2).eval()
    image, spec_of = position_image(300 + patch_px, 300 + patch_px), ModelSpec(backbone)
    patches = [image[at : at + patch_px, at : at + patch_px] for at in (0, 300)]
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
    known = {"backbone": backbone, "class_names": ("a", "b"), "patch_px": patch_px, **spec}
    save(path, network, ModelSpec(**known))  # type: ignore[arg-type]
    return path
