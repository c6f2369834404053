"""Images made to excite one channel each: gradient ascent on the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from histocnn.errors import ModelError
from histocnn.inspection.calls import plain_name
from histocnn.inspection.watching import fitting, outputs
from histocnn.models.preparation import IMAGENET_MEAN, IMAGENET_STD

CHUNK = 9  # images at a time
STEPS = 24
RATE = 0.35  # of a step, in deviations of the input; falls to a tenth
JITTER_PX = 6  # each step looks at the image moved by up to so much
BLUR_EVERY = 4  # steps; sigma 0.6 px
LEAK = 0.1
DECAY = 0.02  # of each step, towards the mean colour


@dataclass(frozen=True)
class Patterns:
    """What excites channels of a layer.

    Attributes:
        layer: Its name.
        channels: int64 [K].
        pixels: uint8 [K, H, W, 3].
        begun: float32 [K]: mean activation of the channel for the noise it began with.
        reached: float32 [K]: for the image as it is shown.
    """

    layer: str
    channels: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    begun: NDArray[np.float32]
    reached: NDArray[np.float32]


@dataclass(frozen=True)
class Ascent:
    """How patterns are made.

    Attributes:
        size_px: Side of the images.
        steps: Of gradient ascent.
        seed: Of noise and jitter.
        mean: Of RGB in 0..1 that the network's input had subtracted.
        std: That it was divided by.
    """

    size_px: int
    steps: int = STEPS
    seed: int = 0
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


def excite(
    network: nn.Module, layer: str, channels: Sequence[int], how: Ascent, chunk: int = CHUNK
) -> Patterns:
    """Images that raise the mean activation of one channel of a layer each.

    Normalised steps up the gradient from noise, with the usual regularisers: jitter, decay towards
    the mean colour, a blur now and then (Yosinski et al. 2015), pixels kept within what an image
    can be. The same seed gives the same images on the same machine.

    Args:
        network: Any torch module that takes float [B, 3, H, W], in evaluation mode.
        layer: Name of the layer.
        channels: Of its output (of tokens and vectors, their places).
        how: Size, steps, seed and normalisation.
        chunk: Images at a time, which bounds the memory.

    Raises:
        UsageError: The network has no such layer.
        ModelError: It does not take such images, has no such channel, or the memory is too small.
    """
    parts = [
        _ascend(network, layer, channels[start : start + chunk], how)
        for start in range(0, len(channels), chunk)
    ]
    pixels, begun, reached = (np.concatenate(own) for own in zip(*parts, strict=True))
    return Patterns(layer, np.asarray(channels, np.int64), pixels, begun, reached)


def _ascend(
    network: nn.Module, layer: str, channels: Sequence[int], how: Ascent
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    place = next(network.parameters(), torch.zeros(())).device
    mean, std = (torch.tensor(v, device=place).view(1, 3, 1, 1) for v in (how.mean, how.std))
    generator = torch.Generator().manual_seed(how.seed)
    shape = (len(channels), 3, how.size_px, how.size_px)
    images = (0.3 * torch.randn(shape, generator=generator)).to(place)
    begun = torch.zeros(len(channels))
    for step in range(how.steps):
        by = torch.randint(-JITTER_PX, JITTER_PX + 1, (2,), generator=generator).tolist()
        images, seen = _step(
            network, layer, channels, images, by, RATE * (1 - 0.9 * step / how.steps)
        )
        if step == 0:
            begun = seen
        if step % BLUR_EVERY == BLUR_EVERY - 1 and step < how.steps - 1:
            images = _blurred(images)
        images = torch.clamp(images, -mean / std, (1 - mean) / std)
    with torch.no_grad():
        reached = _mean_activation(network, layer, channels, images).cpu()
    shown = ((images * std + mean) * 255).round().clamp(0, 255).byte()
    return shown.permute(0, 2, 3, 1).cpu().numpy(), begun.numpy(), reached.numpy()


def _step(
    network: nn.Module,
    layer: str,
    channels: Sequence[int],
    images: Tensor,
    by: Sequence[int],
    rate: float,
) -> tuple[Tensor, Tensor]:
    """The images one step further up, and what they were at before."""
    given = images.detach().clone().requires_grad_(True)
    with torch.enable_grad(), fitting(images), _Leaking():
        moved = torch.roll(given, (by[0], by[1]), (2, 3))
        excited = _mean_activation(network, layer, channels, moved)
        (gradient,) = torch.autograd.grad(excited.sum(), given)
    size = gradient.pow(2).mean((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-12)
    return images * (1 - DECAY) + rate * gradient / size, excited.detach().cpu()


def _mean_activation(
    network: nn.Module, layer: str, channels: Sequence[int], images: Tensor
) -> Tensor:
    """Of each image its own channel's mean over the map, or over tokens: [K]."""
    output = outputs(network, images, [layer])[layer]
    width = output.shape[1] if output.ndim == 4 else output.shape[-1]
    if max(channels) >= width:
        raise ModelError(f"its layer {layer} has {width} channels, not {max(channels) + 1}",
                         "Channels are counted from 0.")  # fmt: skip
    means = output
    if output.ndim > 2:
        means = output.mean((2, 3)) if output.ndim == 4 else output.mean(1)
    return means[torch.arange(len(images)), torch.as_tensor(channels, device=means.device)]


class _Leaking(TorchFunctionMode):
    """A ReLU gives what it gives, but lets a tenth of the gradient through where it gives nothing.

    Noise excites many a channel of a late layer nowhere, and from there no gradient leads up.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if plain_name(getattr(func, "__name__", "")) != "relu":
            return func(*args, **(kwargs or {}))
        taken = args[0] if args else (kwargs or {})["input"]
        return torch.relu(taken) + LEAK * (taken - taken.detach())


def _blurred(images: Tensor) -> Tensor:
    """With a Gaussian of 0.6 px, edges repeated."""
    taps = torch.exp(-(torch.tensor([-1.0, 0.0, 1.0]) ** 2) / (2 * 0.6**2)).to(images.device)
    taps = (taps / taps.sum()).expand(3, 1, 3)
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    across = F.conv2d(padded, taps[..., None, :], groups=3)
    return F.conv2d(across, taps[..., None], groups=3)
