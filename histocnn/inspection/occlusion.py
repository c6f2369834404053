"""What an output loses when a part of the image is covered: a check that needs no gradient."""

from __future__ import annotations

import torch
from captum.attr import Occlusion
from torch import Tensor, nn

from histocnn.models.windows import taking

PARTS = 4  # covered squares along the shorter side, which overlap by half
AT_ONCE = 16


def occluded(
    network: nn.Module,
    images: Tensor,
    index: int,
    *,
    window_px: int | None = None,
    stride_px: int | None = None,
) -> Tensor:
    """How much an output falls while a square of the image is covered by the image's mean colour.

    Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014, figure 7; by
    captum's `Occlusion`. Black or grey squares would be things that no slide shows.

    Args:
        network: float [B, C, H, W], normalised → outputs [B, K] before softmax; in evaluation mode.
        images: float [B, C, H, W].
        index: The output.
        window_px: Side of the square; None: a quarter of the image's shorter side.
        stride_px: From one square to the next; None: half a square.

    Returns:
        float [B, H, W]: the mean fall over the squares that cover a pixel; below 0 where covering
        it speaks for the class.

    Raises:
        ModelError: The network does not take the images.
    """
    window_px = window_px or max(1, min(images.shape[-2:]) // PARTS)
    stride_px = stride_px or max(1, window_px // 2)
    channels = images.shape[1]
    with torch.no_grad(), taking(images):
        fall: Tensor = Occlusion(network).attribute(
            images,
            sliding_window_shapes=(channels, window_px, window_px),
            strides=(channels, stride_px, stride_px),
            baselines=images.mean((2, 3), keepdim=True).expand_as(images),
            target=index,
            perturbations_per_eval=max(1, AT_ONCE // len(images)),
        )
    return fall[:, 0]
