"""First layers that pathology's networks have and timm does not."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class ConvStem(nn.Module):
    """CTransPath's: two convolutions of stride 2 in the place of a transformer's 4 px patches.

    Wang et al. 2022: channels double from embed_dim / 8, then 1 × 1 to embed_dim. Called as timm
    calls its patch embedding.

    Args:
        img_size: Side of the images.
        patch_size: 4.
        in_chans: Of the images.
        embed_dim: Of the tokens, a multiple of 8.
        norm_layer: Of the tokens.
        others: What timm says besides.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 4,
        in_chans: int = 3,
        embed_dim: int = 96,
        norm_layer: Any = None,
        **others: Any,
    ) -> None:
        super().__init__()
        side = img_size if isinstance(img_size, int) else img_size[0]
        self.img_size = (side, side)
        self.patch_size = (patch_size, patch_size)
        self.grid_size = (side // patch_size, side // patch_size)
        self.num_patches = self.grid_size[0] * self.grid_size[1]
        layers: list[nn.Module] = []
        channels = in_chans
        for wider in (embed_dim // 8, embed_dim // 4):
            layers += [nn.Conv2d(channels, wider, 3, stride=2, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(wider), nn.ReLU(inplace=True)]
            channels = wider
        self.proj = nn.Sequential(*layers, nn.Conv2d(channels, embed_dim, 1))
        self.norm = norm_layer(embed_dim) if norm_layer else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Tokens [B, H / 4, W / 4, embed_dim] of images [B, 3, H, W]."""
        assert images.shape[-2:] == self.img_size, f"{self.img_size[0]} px only"  # noqa: S101
        tokens: Tensor = self.norm(self.proj(images).permute(0, 2, 3, 1))
        return tokens
