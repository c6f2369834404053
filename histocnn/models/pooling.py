"""From a network's tokens or maps to one row of features."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from histocnn.errors import UsageError

Pool = Literal["cls", "mean", "cls+mean", "gem"]
GEM_POWER = 3.0  # Radenović et al. 2019, where it starts
GEM_LEAST = 1e-6


class Pooled(nn.Module):
    """A network of timm that gives the tokens or maps of its last layer, pooled.

    Args:
        trunk: The network; its `forward_features` gives tokens [B, N, D], class and register
            tokens first, or maps [B, D, H, W].
        pool: `cls`: the class token. `mean`: of the patch tokens or over space, no class or
            register token in it. `cls+mean`: both, one behind the other. `gem`: the generalised
            mean, (mean of max(x, 1e-6)³)^⅓, of what `mean` averages.
        name: The network's, for messages.

    Attributes:
        width: Features per image.

    Raises:
        UsageError: It gives no tokens or maps, or has no class token and shall give one.
    """

    def __init__(self, trunk: nn.Module, pool: Pool, name: str = "") -> None:
        super().__init__()
        if not hasattr(trunk, "forward_features") or not hasattr(trunk, "num_features"):
            raise UsageError(
                f"--pool {pool}: {name} gives no tokens or maps to pool",
                "Leave --pool out, or use a network of timm.",
            )
        if "cls" in pool and getattr(trunk, "cls_token", None) is None:
            raise UsageError(
                f"--pool {pool}: {name} has no class token", "Use --pool mean, or leave it out."
            )
        self.trunk: Any = trunk
        self.pool = pool
        self.prefix = int(getattr(trunk, "num_prefix_tokens", 0))
        self.width = int(trunk.num_features) * (2 if pool == "cls+mean" else 1)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, width] of images [B, 3, H, W]."""
        found: Tensor = self.trunk.forward_features(images)
        if found.ndim == 4:
            patches = (
                found.flatten(2).transpose(1, 2) if self._is_first(found) else found.flatten(1, 2)
            )
        else:
            patches = found[:, self.prefix :]
        if self.pool == "cls":
            return found[:, 0]
        if self.pool == "gem":
            return patches.clamp(min=GEM_LEAST).pow(GEM_POWER).mean(1).pow(1 / GEM_POWER)
        if self.pool == "mean":
            return patches.mean(1)
        return torch.cat([found[:, 0], patches.mean(1)], dim=1)

    def _is_first(self, maps: Tensor) -> bool:
        """Whether maps are [B, D, H, W] rather than [B, H, W, D], as Swin's are."""
        return getattr(self.trunk, "output_fmt", "NCHW") == "NCHW"
