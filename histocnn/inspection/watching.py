"""What the layers of a network give for an image: every channel of every layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from histocnn.errors import ModelError
from histocnn.inspection.naming import full_name
from histocnn.models.windows import Reached, taking

CHUNK = 16  # images at a time: a GPU holds the maps of so many, however many are asked for


def activations(
    network: nn.Module, images: Tensor, layers: Sequence[str], chunk: int = CHUNK
) -> dict[str, NDArray[np.float32]]:
    """The output of each named layer, as a plain forward hook sees it, bit for bit.

    The network runs as it is (call `eval()` before), on the device of the images. A layer that is
    called more than once gives its first output.

    Args:
        network: Any torch module.
        images: float [B, C, H, W], as the network takes them.
        layers: Names as `named_modules` has them; `backbone.` in front may be left out.
        chunk: Images at a time, which bounds the memory.

    Returns:
        By the asked names: float32 [B, F, h, w] of maps, [B, N, D] of tokens, [B, D] of vectors.

    Raises:
        UsageError: The network has no such layer; the nearest names are said.
        ModelError: It does not take the images, never calls a layer, or the memory is too small.

    >>> network = nn.Sequential(nn.Identity(), nn.ReLU())
    >>> activations(network, torch.eye(2)[None, None], ["1"])["1"].shape
    (1, 1, 2, 2)
    """
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in layers}
    for some in torch.split(images, chunk):
        with torch.no_grad():
            for name, output in outputs(network, some, layers).items():
                parts[name].append(output.float().cpu().numpy())
    return {name: np.concatenate(own) for name, own in parts.items()}


def outputs(network: nn.Module, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """The first output of each named layer, by the asked names, where the network has them.

    Nothing behind the last of them is computed. Gradients lead through them, where these are on.

    Raises:
        UsageError: The network has no such layer; the nearest names are said.
        ModelError: It does not take the images, never calls a layer, or the memory is too small.
    """
    modules = dict(network.named_modules())
    full = {name: full_name(network, name) for name in layers}
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple | list) and output else output
            if isinstance(first, Tensor) and name not in found:
                found[name] = first.clone()  # a ReLU that follows may work in place
                if len(found) == len(full):
                    raise Reached(first)

        return hook

    hooks = [modules[own].register_forward_hook(keep(name)) for name, own in full.items()]
    try:
        with taking(images), fitting(images):
            network(images)
    except Reached:
        pass
    finally:
        for handle in hooks:
            handle.remove()
    if missing := [name for name in full if name not in found]:
        raise ModelError(
            f"its layer {missing[0]} is not called for an image, or gives no tensor",
            "Name a layer that the table of the architecture lists.",
        )
    return {name: found[name] for name in full}


@contextmanager
def fitting(images: Tensor) -> Iterator[None]:
    """Say on one line that a device's memory is too small.

    Raises:
        ModelError: It is.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{len(images)} images of {images.shape[-1]} px do not fit the memory of "
            f"{images.device}",
            "Use --device cpu, or a smaller --input_px.",
        ) from error


def dead_channels(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which channels [F] give the same value everywhere on every image.

    Args:
        values: [B, F, h, w], [B, N, D] or [B, D], channels second, of tokens last.
    """
    if values.ndim == 3:
        values = np.moveaxis(values, 2, 1)
    flat = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    found: NDArray[np.bool_] = np.ptp(flat, axis=1) == 0
    return found
