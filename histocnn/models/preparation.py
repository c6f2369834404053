"""How pixels become a network's input, in one place: scaled, cropped, normalised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from histocnn.errors import ModelError

Interpolation = Literal["bilinear", "bicubic"]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Prepared(Protocol):
    """What says how pixels become input: a `Preparation`, or the spec that holds its fields."""

    @property
    def mean(self) -> tuple[float, ...]: ...  # noqa: D102
    @property
    def std(self) -> tuple[float, ...]: ...  # noqa: D102
    @property
    def input_px(self) -> int | None: ...  # noqa: D102
    @property
    def resize_px(self) -> int | None: ...  # noqa: D102
    @property
    def interpolation(self) -> Interpolation: ...  # noqa: D102


@dataclass(frozen=True)
class Preparation:
    """How pixels become input, as a network's weights were published.

    Attributes:
        mean: Of RGB in 0..1, subtracted.
        std: Of RGB in 0..1, divided by.
        input_px: Side that the network gets; None: patches as they come.
        resize_px: Side that patches of another size are scaled to before `input_px` is cut out of
            their middle; None: they are scaled to `input_px`.
        interpolation: With which patches are scaled.
    """

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    input_px: int | None = None
    resize_px: int | None = None
    interpolation: Interpolation = "bilinear"


def from_cfg(name: str, cfg: Mapping[str, Any], *, sized: bool) -> Preparation:
    """What timm's `pretrained_cfg` says of a network's input.

    Args:
        name: The network's, for messages.
        cfg: As timm or the hub has it; what it does not say is ImageNet's.
        sized: Take its input size, too.

    Raises:
        ModelError: A fact is not of its kind.
    """
    try:
        mean = tuple(float(value) for value in cfg.get("mean", IMAGENET_MEAN))
        std = tuple(float(value) for value in cfg.get("std", IMAGENET_STD))
        crop, sides = 1.0, [224, 224]
        if sized:
            crop, sides = (
                float(cfg.get("crop_pct") or 1.0),
                cfg.get("input_size", (3, 224, 224))[1:],
            )
        side = int(sides[0])
    except (TypeError, ValueError, LookupError) as error:
        raise _strange(name) from error
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0 or not 0.1 <= crop <= 1:
        raise _strange(name)
    if not 1 <= side <= 4096 or any(other != side for other in sides):
        raise _strange(name)
    how: Interpolation = "bilinear" if cfg.get("interpolation") == "bilinear" else "bicubic"
    resize_px = int(side / crop) if crop < 1 else None  # timm rounds down, too
    return Preparation(mean, std, side if sized else None, resize_px, how)


def _strange(name: str) -> ModelError:
    return ModelError(
        f"{name}: what its configuration says of mean, std, input_size and crop_pct is no image's",
        "Take the model from its author.",
    )


def to_input(pixels: Tensor, how: Prepared, size: tuple[int, int] | None = None) -> Tensor:
    """uint8 [B, H, W, 3] → what the network takes: float [B, 3, h, w], normalised, channels last.

    The one place where pixels become input: training, predicting and embedding call it on the
    device. A patch whose side is `input_px` goes in as it is, so that its µm/px stays the grid's.
    Any other is scaled (antialiased) to `resize_px`, of which the middle `input_px` remain, or to
    `input_px`; `size` (h, w) takes the place of all of it.
    """
    images = pixels.permute(0, 3, 1, 2).float()  # [B, 3, H, W]; NHWC in memory is channels last
    crop = None
    if size is None and how.input_px is not None:
        size = crop = (how.input_px, how.input_px)
        if how.resize_px is not None and images.shape[-2:] != size:
            size = (how.resize_px, how.resize_px)
    if size is not None and images.shape[-2:] not in (size, crop):
        images = F.interpolate(images, size, mode=how.interpolation, antialias=True)
        if how.interpolation == "bicubic":
            images = images.clamp_(0, 255)  # it overshoots; Pillow's, that weights knew, cannot
        images = images.contiguous(memory_format=torch.channels_last)
    if crop is not None and images.shape[-2:] != crop:
        images = _middle(images, crop[0]).contiguous(memory_format=torch.channels_last)
    rows = images.permute(0, 2, 3, 1)
    mean, std = (
        torch.tensor(each, device=images.device).mul(255).repeat(images.shape[3])
        for each in (how.mean, how.std)
    )  # of a row, W × 3 values: three at a time are twice as slow
    return rows.flatten(2).sub_(mean).div_(std).view(rows.shape).permute(0, 3, 1, 2)


def _middle(images: Tensor, side: int) -> Tensor:
    """The middle square of images [B, 3, H, W], as torchvision's CenterCrop rounds it."""
    top = round((images.shape[-2] - side) / 2)
    left = round((images.shape[-1] - side) / 2)
    return images[..., top : top + side, left : left + side]
