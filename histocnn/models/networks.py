"""The modules themselves: a backbone under one linear head, the lectures' two, and an embedder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from histocnn.errors import ModelError, UsageError
from histocnn.metrics.terms import Terms
from histocnn.models.pooling import Pool
from histocnn.models.preparation import Preparation


class Network(nn.Module):
    """A backbone and its linear head.

    Args:
        backbone: float [B, 3, H, W] → features [B, width]; in training mode a tuple with the
            logits of its auxiliary heads behind, where it has any.
        width: Features per image.
        num_classes: Outputs of the head; 0 leaves the head out.
        dropout: Probability before the head.
        name: The name that `build` makes this architecture from without a network.
        arguments: What `build` needs besides, JSON-able.

    Attributes:
        preparation: How pixels become its input, where its weights were published; else ImageNet's.
        pool: How `build` was told to make features.
        terms: Of somebody's own network, by whose leave it may be used; else None.
    """

    def __init__(
        self,
        backbone: nn.Module,
        width: int,
        num_classes: int,
        dropout: float = 0.0,
        name: str = "",
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head: nn.Module = nn.Identity()
        if num_classes:
            self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, num_classes))
        self.width = width
        self.name = name
        self.arguments = dict(arguments or {})
        self.preparation = Preparation()
        self.pool: Pool | None = None
        self.terms: Terms | None = None

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits [B, C] (features [B, D] without a head).

        In training mode, for a network with auxiliary heads, a tuple: the logits, then theirs.
        """
        features = self.backbone(images)
        if isinstance(features, tuple):
            return (self.head(features[0]), *features[1:])
        logits: Tensor = self.head(features)
        return logits


class LeNet5(nn.Module):
    """LeCun et al. 1998, with a full C3 and pooling without parameters: [B, 3, 28, 28] → [B, 84].

    28 px are padded to 32, colour is averaged to grey. With ten classes 61,706 parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),      # 32 → 28 → 14
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),     # 14 → 10 → 5
            nn.Flatten(),
            nn.Linear(400, 120), nn.ReLU(),
            nn.Linear(120, 84), nn.ReLU(),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, 84]."""
        maps = self.layers[:6](F.pad(images.mean(1, keepdim=True), (2, 2, 2, 2)))
        if maps.shape[-2:] != (5, 5):  # asked here: a dense pass takes windows out of a larger map
            raise _not_28_px("lenet5", images)
        features: Tensor = self.layers[6:](maps)
        return features


class MLP(nn.Module):
    """One hidden layer of 512 units on grey pixels: [B, 3, 28, 28] → [B, 512]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 512), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, 512]."""
        if images.shape[-2:] != (28, 28):
            raise _not_28_px("mlp", images)
        features: Tensor = self.layers(images.mean(1, keepdim=True))
        return features


@contextmanager
def takes(name: str, images: Tensor) -> Iterator[None]:
    """Say in a sentence that a network does not take images of this size, [B, 3, H, W].

    Raises:
        ModelError: An assertion of the network's failed.
    """
    try:
        yield
    except AssertionError as error:  # timm's, of sizes
        height, width = images.shape[-2:]
        said = " ".join(str(error).split())
        raise ModelError(
            f"{name or 'the network'} does not take {width} × {height} px ({said})",
            "Set input_px to the side that it was made for, or a multiple of its patches.",
        ) from error


def _not_28_px(name: str, images: Tensor) -> ModelError:
    height, width = images.shape[-2:]
    return ModelError(f"{name} takes 28 × 28 px and got {width} × {height}", "Set input_px: 28.")


OWN: Mapping[str, tuple[type[nn.Module], int]] = {"mlp": (MLP, 512), "lenet5": (LeNet5, 84)}


class Embedder(nn.Module):
    """A backbone's features: float [B, 3, H, W] → [B, D].

    Args:
        backbone: As in `Network`.
        layers: Module names of the backbone, such as `features.9`; each one's output is averaged
            over space (or tokens) and they are concatenated. Empty: the penultimate features.

    Raises:
        UsageError: The backbone has no such layer.
    """

    def __init__(self, backbone: nn.Module, layers: Sequence[str] = ()) -> None:
        super().__init__()
        self.backbone = backbone
        self._outputs: dict[str, Tensor] = {}
        self.layers = tuple(layers)
        modules = dict(backbone.named_modules())
        for layer in self.layers:
            if layer not in modules or not layer:
                names = ", ".join(list(dict(backbone.named_children())))
                raise UsageError(
                    f"the backbone has no layer {layer!r}", f"It has {names} …, and those within."
                )
            modules[layer].register_forward_hook(self._keep(layer))

    def _keep(self, layer: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if output.ndim == 4:
                output = output.mean((2, 3))
            elif output.ndim == 3:  # tokens of a transformer
                output = output.mean(1)
            self._outputs[layer] = output

        return hook

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, D]."""
        features: Tensor = self.backbone(images)
        if not self.layers:
            return features
        return torch.cat([self._outputs.pop(layer) for layer in self.layers], dim=1)
