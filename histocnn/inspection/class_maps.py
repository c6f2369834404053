"""Class activation maps: where in an image a network finds what speaks for a class.

Three ways that rest on different things: Grad-CAM (Selvaraju et al. 2017, by captum) on gradients,
plain CAM (Zhou et al. 2016) on the head's own weights, occlusion on covering the image. None of
them is true because it looks plausible: `sanity` and `localisation` ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from numpy.typing import NDArray
from torch import Tensor, nn

from histocnn.errors import ModelError, UsageError
from histocnn.inspection.inputs import batch_of, check_memory, class_index, judging
from histocnn.inspection.naming import full_name
from histocnn.inspection.occlusion import occluded
from histocnn.models.windows import Split, split, tail, taking, trunk

Method = Literal["grad_cam", "cam", "occlusion"]
METHODS: tuple[Method, ...] = get_args(Method)
_NO_MAP = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Dropout, nn.Dropout2d, nn.Identity)


@dataclass(frozen=True, eq=False)
class LinearHead:
    """How a network's outputs follow from its last map: weights · the map's means + bias.

    Attributes:
        parts: Where the last map is.
        weights: float [K, F].
        bias: float [K].
    """

    parts: Split
    weights: Tensor
    bias: Tensor


def cam(
    network: nn.Module,
    image: Tensor,
    of_class: int | str,
    *,
    layer: str | None = None,
    method: Method = "grad_cam",
    class_names: Sequence[str] = (),
) -> NDArray[np.float32]:
    """Map what in one image speaks for a class.

    Args:
        network: float [B, C, H, W], normalised → outputs [B, K] before softmax.
        image: float [C, H, W], or [H, W] of a grey one; see `inputs.batch_of`.
        of_class: Number of the output, or one of `class_names`.
        layer: Name of the module whose output is weighed, for Grad-CAM; None: `last_map`.
        method: `grad_cam`: the layer's channels, each weighed by its gradient's mean over the
            map, summed, ReLU; `cam`: the last map's channels weighed by the head's weights, with
            what speaks against the class below 0; `occlusion`: see `occlusion.occluded`.
        class_names: In the order of the outputs.

    Returns:
        float32 [h, w] in the outputs' units, not scaled: as many cells as the layer's map has; of
        occlusion as many as the image has pixels. `maps.scaled` and `maps.enlarged` make a picture
        of it; where nothing is above 0 it is undefined (`maps.undefined`).

    Raises:
        UsageError: An unknown class, layer or method, or no image.
        ModelError: The network makes no map of an image (transformers, mlps), does not take it, or
            the head does not allow plain CAM.
    """
    if image.ndim == 4 and len(image) != 1:
        raise UsageError(f"one image, not {len(image)}", "Use cams for several.")
    one = cams(network, image, of_class, layer=layer, method=method, class_names=class_names)
    found: NDArray[np.float32] = one[0]
    return found


def cams(
    network: nn.Module,
    images: Tensor,
    of_class: int | str,
    *,
    layer: str | None = None,
    method: Method = "grad_cam",
    class_names: Sequence[str] = (),
) -> NDArray[np.float32]:
    """Maps [B, h, w] of several images of one size; arguments and errors as of `cam`."""
    if method not in METHODS:
        raise UsageError(f"no map is called {method!r}", f"Use one of {', '.join(METHODS)}.")
    if layer is not None and method != "grad_cam":
        raise UsageError(f"layer is for grad_cam, and not for {method}", "Leave it out.")
    batch = batch_of(network, images)
    with judging(network):
        with torch.no_grad(), taking(batch):
            outputs = network(batch[:1])
        if not isinstance(outputs, Tensor) or outputs.ndim != 2:
            raise ModelError("the network does not give one row of outputs per image")
        index = class_index(of_class, outputs.shape[1], class_names)
        try:
            if method == "occlusion":
                made = occluded(network, batch, index)
            elif method == "cam":
                made = _plain(network, batch, index)
            else:
                made = _weighed(network, batch, index, layer)
        except torch.OutOfMemoryError as error:
            raise check_memory(error, batch) from error
    found: NDArray[np.float32] = made.detach().float().cpu().numpy()
    return found


def last_map(network: nn.Module, images: Tensor) -> str:
    """The name of the module that makes the last map of an image.

    Of those that are called once, the last one to finish with [B, C, h, w] of more than one cell;
    poolings to a fixed size and dropout are none.

    Args:
        network: In evaluation mode.
        images: float [B, C, H, W].

    Raises:
        ModelError: Nothing in it is convolved, or tokens attend to each other.
    """
    _check_convolves(network)
    shapes = _finished(network, images)
    found = [name for name, shape in shapes.items() if len(shape) == 4 and shape[2] * shape[3] > 1]
    modules = dict(network.named_modules())
    found = [name for name in found if name and not isinstance(modules[name], _NO_MAP)]
    if not found:
        raise ModelError(
            "none of its modules makes a map of the image of more than one cell",
            "Give a larger image, or name a layer.",
        )
    return found[-1]


def linear_head(network: nn.Module, images: Tensor) -> LinearHead:
    """The weights with which a network's outputs sum its last map, where they do just that.

    Measured, not looked up: what follows the last map is given every channel alone.

    Args:
        network: In evaluation mode.
        images: float [B, 3, H, W], of a size that it takes.

    Raises:
        ModelError: The head is not the mean of a map under one linear layer, or there is no map.
    """
    _check_convolves(network)
    side = min(images.shape[-2:])
    remedy = "Use method='grad_cam', which any convolutional network allows."
    with torch.no_grad():
        try:
            parts = split(network, side)
        except ModelError as error:
            raise ModelError(error.message, remedy) from error
        blank = images.new_zeros(1, 3, side, side)
        count = trunk(network, parts, blank).shape[1]
        if parts.average:
            each = torch.eye(count, device=images.device).view(count, count, 1, 1)
            bias = tail(network, parts, blank, torch.zeros_like(each[:1]))
            weights = tail(network, parts, blank, each) - bias
            drawn = torch.rand(2, count, 1, 1, generator=torch.Generator().manual_seed(0))
            drawn = drawn.to(images.device)
            given, summed = tail(network, parts, blank, drawn), drawn[..., 0, 0] @ weights + bias
            if torch.allclose(given, summed, rtol=1e-3, atol=1e-4 * float(given.abs().max())):
                return LinearHead(parts, weights.T, bias[0])
    raise ModelError(
        "its head is not one linear layer on the mean of its last map, which plain CAM needs",
        remedy,
    )


def _plain(network: nn.Module, images: Tensor, index: int) -> Tensor:
    """Zhou's: the sum of the last map's channels, each by its weight for the class."""
    head = linear_head(network, images)
    with torch.no_grad():
        maps = trunk(network, head.parts, images)
    return torch.einsum("bfhw,f->bhw", maps, head.weights[index])


def _weighed(network: nn.Module, images: Tensor, index: int, layer: str | None) -> Tensor:
    """Grad-CAM by captum, after ReLU."""
    _check_convolves(network)
    layer = last_map(network, images[:1]) if layer is None else full_name(network, layer)
    module = network.get_submodule(layer)
    shape = _finished(network, images[:1]).get(layer)
    if shape is None:
        raise UsageError(
            f"layer {layer!r} is not called once for an image", "Name the module around it."
        )
    if len(shape) != 4:
        raise UsageError(f"layer {layer!r} gives {list(shape)}, no map", "Name an earlier one.")
    attributed = LayerGradCam(network, module).attribute(images, target=index)
    return F.relu(attributed[:, 0])


def _check_convolves(network: nn.Module) -> None:
    modules = list(network.modules())
    if any(type(m).__name__.endswith("Attention") and hasattr(m, "num_heads") for m in modules):
        raise ModelError(
            "a transformer has no class activation map: its tokens attend to each other, so that "
            "what stands at a place is not from there",
            "Use method='occlusion', which only looks at the outputs.",
        )
    if not any(isinstance(m, nn.Conv2d) for m in modules):
        raise ModelError(
            "a network without convolution has no map of the image, so no class activation map",
            "Use method='occlusion', or look at its weights.",
        )


def _finished(network: nn.Module, images: Tensor) -> dict[str, tuple[int, ...]]:
    """Shapes of the outputs of the modules that are called once, in the order of finishing."""
    shapes: dict[str, tuple[int, ...]] = {}
    calls: dict[str, int] = {}

    def hook(name: str) -> Any:
        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            calls[name] = calls.get(name, 0) + 1
            if isinstance(output, Tensor):
                shapes[name] = tuple(output.shape)

        return note

    handles = [m.register_forward_hook(hook(n)) for n, m in network.named_modules()]
    try:
        with torch.no_grad(), taking(images):
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    return {name: shape for name, shape in shapes.items() if calls[name] == 1}
