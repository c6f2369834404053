"""Features of several layers over a region, each averaged over the same windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from histocnn.errors import ModelError
from histocnn.models.networks import Embedder
from histocnn.models.windows import REMEDY, Reached, noise, taking

LONGER_PX = 512


class LayerMaps(nn.Module):
    """The maps of an embedder's layers: float [B, 3, H, W] → one [B, F, h, w] per layer."""

    def __init__(self, network: Embedder) -> None:
        super().__init__()
        self.backbone, self.layers = network.backbone, network.layers

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps in the layers' order.

        Raises:
            ModelError: A layer's output is no map.
        """
        found: dict[str, Tensor] = {}

        def keep(layer: str) -> Any:
            def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
                # Copied: what follows may work in place.
                found[layer] = output.clone()
                if len(found) == len(set(self.layers)):
                    raise Reached(output)

            return hook

        modules = dict(self.backbone.named_modules())
        hooks = [modules[layer].register_forward_hook(keep(layer)) for layer in self.layers]
        try:
            with taking(images):
                self.backbone(images)
        except Reached:
            pass
        finally:
            for handle in hooks:
                handle.remove()
        for layer, output in found.items():
            if output.ndim != 4:
                raise ModelError(f"its layer {layer} gives no map of the image", REMEDY)
        return [found[layer] for layer in self.layers]


@dataclass(frozen=True)
class LayerSplit:
    """The windows of several layers.

    Attributes:
        sides: Of each layer's map for one patch, in its cells.
        ratios: Of the coarsest layer's stride to each one's.
        cells: Side of a window in the coarsest layer's cells.
    """

    sides: tuple[int, ...]
    ratios: tuple[int, ...]
    cells: int


def layer_split(network: Embedder, input_px: int) -> LayerSplit:
    """Measure the maps of an embedder's layers.

    Raises:
        ModelError: A layer gives no map, or one's stride does not divide the coarsest's.
    """
    maps = LayerMaps(network)
    sides = [m.shape[3] for m in maps(noise(network, (1, 3, input_px, input_px)))]
    longer = maps(noise(network, (1, 3, input_px, input_px + LONGER_PX)))
    strides = [LONGER_PX / max(m.shape[3] - side, 1) for m, side in zip(longer, sides, strict=True)]
    ratios = [max(strides) / stride for stride in strides]
    if any(abs(ratio - round(ratio)) > 0.1 for ratio in ratios):
        raise ModelError(
            f"its layers' strides of {', '.join(f'{s:.0f}' for s in strides)} px do not divide "
            "each other",
            "Embed from one layer.",
        )
    whole = tuple(round(ratio) for ratio in ratios)
    cells = min(side for side, ratio in zip(sides, whole, strict=True) if ratio == 1)
    return LayerSplit(tuple(sides), whole, cells)


class LayerWindows(nn.Module):
    """Features of several layers over all windows: float [B, 3, H, W] → [B, D, h, w].

    Args:
        network: The embedder.
        parts: Its windows.
    """

    def __init__(self, network: Embedder, parts: LayerSplit) -> None:
        super().__init__()
        self.layer_maps, self.parts = LayerMaps(network), parts

    def forward(self, images: Tensor) -> Tensor:
        """Features of each window."""
        return self._averaged(images, self.parts.sides)

    def maps(self, images: Tensor) -> Tensor:
        """All layers' features [B, D, h, w] of each of the coarsest's cells."""
        return self._averaged(images, self.parts.ratios)

    def _averaged(self, images: Tensor, sides: Sequence[int]) -> Tensor:
        """Means over squares of so many of each layer's cells, one per coarsest cell."""
        means = [
            F.avg_pool2d(maps, side, ratio)
            for maps, side, ratio in zip(
                self.layer_maps(images), sides, self.parts.ratios, strict=True
            )
        ]
        height, width = (min(m.shape[axis] for m in means) for axis in (2, 3))
        return torch.cat([m[..., :height, :width] for m in means], dim=1)
