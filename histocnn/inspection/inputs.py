"""What a function of any torch module is asked: images and a class, or why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from histocnn.errors import ModelError, UsageError
from histocnn.inspection.naming import nearest


def batch_of(network: nn.Module, images: Tensor) -> Tensor:
    """Images as the network takes them.

    Args:
        network: Any module of images.
        images: float [H, W] (grey), [C, H, W] or [B, C, H, W], normalised, as
            `models.preparation.to_input` gives them; of any size that the network takes.

    Returns:
        float [B, C, H, W], where the network is. A grey image is repeated for a network whose first
        convolution takes three channels.

    Raises:
        UsageError: They are no such images.
    """
    if not images.is_floating_point() or images.ndim not in (2, 3, 4) or 0 in images.shape:
        raise UsageError(
            f"an image is float [3, H, W], normalised, and this is "
            f"{str(images.dtype).removeprefix('torch.')} {list(images.shape)}",
            "Make it of pixels with histocnn.models.preparation.to_input.",
        )
    batch = images.detach().view(-1, *([1] * (images.ndim == 2)), *images.shape[-3:])
    first = next((m for m in network.modules() if isinstance(m, nn.Conv2d)), None)
    wanted = 3 if first is None else first.in_channels
    if batch.shape[1] == 1 and wanted > 1:
        batch = batch.expand(-1, wanted, -1, -1)
    elif batch.shape[1] != wanted and wanted != 1:  # a network of one may average over colours
        raise UsageError(
            f"the network takes {wanted} channels, and the image {list(images.shape)} has "
            f"{batch.shape[1]}",
            "Give [C, H, W]: channels first, without an alpha channel.",
        )
    place = next(network.parameters(), torch.zeros(())).device
    return batch.to(place, copy=True)


def class_index(of_class: int | str, outputs: int, class_names: Sequence[str] = ()) -> int:
    """Which of a network's outputs a class is.

    >>> class_index("tumour", 2, ["normal", "tumour"])
    1

    Args:
        of_class: Number of the output, or one of `class_names`.
        outputs: How many there are.
        class_names: In the order of the outputs.

    Raises:
        UsageError: There is no such class: with the nearest names.
    """
    if isinstance(of_class, str):
        if of_class in class_names:
            return list(class_names).index(of_class)
        if not class_names:
            raise UsageError(
                f"class {of_class!r}: nobody said what the network's {outputs} classes are called",
                f"Give class_names, or a number from 0 to {outputs - 1}.",
            )
        raise UsageError(
            f"the network has no class {of_class!r}",
            f"It has {', '.join(nearest(of_class, class_names))}.",
        )
    if not 0 <= of_class < outputs:
        raise UsageError(
            f"the network has {outputs} classes and no class {of_class}",
            f"Give a number from 0 to {outputs - 1}.",
        )
    return of_class


@contextmanager
def judging(network: nn.Module) -> Iterator[None]:
    """Hold a network in evaluation mode, and leave every module of it as it was."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def check_memory(error: torch.OutOfMemoryError, images: Tensor) -> ModelError:
    """Say that images do not fit a device's memory."""
    height, width = images.shape[-2:]
    return ModelError(
        f"{len(images)} images of {width} × {height} px and their gradients do not fit the memory "
        f"of {images.device}",
        "Give fewer at a time, or take the network to the CPU.",
    )
