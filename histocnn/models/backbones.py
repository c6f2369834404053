"""Networks by name: a backbone that gives features, and one linear head on top.

The names are those of pathology's encoders (`encoders`), torchvision's, `timm/NAME`,
`hf-hub:ORG/NAME`, `local-dir:FOLDER`, two of our own that no library has (`mlp` and `lenet5`, as
the lectures teach them), and people's own `package.module:Class`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

from histocnn.errors import ModelError, UsageError
from histocnn.models import hub
from histocnn.models.custom import construct, function_at, is_custom
from histocnn.models.networks import OWN, Embedder, Network
from histocnn.models.pooling import Pool, Pooled
from histocnn.models.preparation import Preparation
from histocnn.models.recipes import Recipe, recipe_from
from histocnn.models.refusals import unknown_network
from histocnn.models.timm_networks import Architecture, is_resolved, make, not_downloaded, resolve
from histocnn.models.weights import AUXILIARY, load_weights

MEASURED_PX = 224  # side of the image that tells an own network's width
PUBLISHED = "imagenet"  # instead of a file: the weights that the name's publisher has


def build(
    name: str,
    num_classes: int,
    weights: str | Path | None = None,
    dropout: float = 0.0,
    arguments: Mapping[str, Any] | None = None,
    pool: Pool | None = None,
    allow_partial: bool = False,
) -> Network:
    """A network of this name with a new head.

    Args:
        name: An encoder's, torchvision's, `timm/NAME`, `hf-hub:ORG/NAME`, `local-dir:FOLDER`,
            `mlp`, `lenet5`, or, only ever as somebody typed it, `package.module:Class`, or a
            function of one's own in its place.
        num_classes: Outputs; 0 for features.
        weights: `imagenet` (the publisher's: the library's own download, the hub's, the folder's),
            a `.safetensors` or `.pth` of the backbone, or None. The head is always new.
        dropout: Before the head.
        arguments: Of a timm architecture, as a spec keeps them.
        pool: How tokens or maps become features; None: as the encoder's authors do it, else as the
            network does itself.
        allow_partial: Take what fits of a file of weights.

    Raises:
        UsageError: Nobody knows the name, or the network takes no such arguments or pooling.
        ModelError: The weights cannot be had, or are not this network's.
    """
    name = hub.spelled(name)
    pretrained = str(weights) == PUBLISHED
    file = None if weights is None or pretrained else Path(weights)
    arguments, preparation = dict(arguments or {}), Preparation()
    if is_resolved(name):
        found = resolve(name, arguments, file)
        backbone, file = _from_timm(found, pretrained, file)
        width: int = backbone.head_hidden_size
        name, preparation = f"timm/{found.name}", found.preparation
        arguments, pool = dict(found.arguments), pool or found.pool
    elif arguments:
        raise UsageError(f"{name} takes no arguments", "Leave --backbone_args out.")
    elif name in OWN:
        if pretrained:
            raise _without_imagenet(name)
        own, width = OWN[name]
        backbone = own()
    elif is_custom(name):
        if pretrained:
            raise _without_imagenet(name)
        backbone, recipe = _own(name)
        preparation = recipe or preparation
        width = feature_width(name, backbone, preparation.input_px or MEASURED_PX)
    elif name in torchvision.models.list_models(module=torchvision.models):
        backbone, width = _from_torchvision(name, num_classes, pretrained)
    else:
        raise unknown_network(name)
    if file is not None:
        before = _grid_px(backbone)
        load_weights(backbone, file, allow_partial)
        if (side := _grid_px(backbone)) != before:  # the file's
            arguments |= {"img_size": side}
    if pool is not None:
        backbone = Pooled(backbone, pool, name)
        width = backbone.width
    network = Network(backbone, width, num_classes, dropout, name, arguments)
    network.preparation, network.pool = preparation, pool
    if is_custom(name):
        network.terms = (preparation if isinstance(preparation, Recipe) else Recipe()).terms(name)
    return network


def _own(name: str) -> tuple[nn.Module, Recipe | None]:
    """A network of a class or a function that somebody typed, and what the function says of it.

    Raises:
        UsageError: As `construct` and `function_at`, or the function fails or returns no network.
    """
    function = function_at("--backbone", name)
    if function is None:
        return construct("--backbone", name, nn.Module, {}), None
    try:
        made = function()
    except Exception as error:  # whatever the user's function raises
        said = " ".join(str(error).split())
        raise UsageError(
            f"--backbone {name}: {type(error).__name__}: {said}", "It is called without arguments."
        ) from error
    made, recipe = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(made, nn.Module):
        raise UsageError(
            f"--backbone {name}: returns {type(made).__name__}, no torch.nn.Module",
            "Return a network, or a network and a histocnn.Recipe.",
        )
    return made, None if recipe is None else recipe_from(f"--backbone {name}", recipe)


def feature_width(name: str, backbone: nn.Module, side_px: int = MEASURED_PX) -> int:
    """Features per image of somebody's own network: what it says, else what it gives for one.

    Its attribute `width` says it; without one a black image of `side_px` goes through it.

    Raises:
        UsageError: `width` is no number, or such an image does not give features [1, D].
    """
    width = getattr(backbone, "width", None)
    if isinstance(width, int) and width > 0:
        return width
    remedy = "Give it an attribute `width`, the number of features that forward gives per image."
    if width is not None:
        raise UsageError(f"--backbone {name}: its width is {width!r}", remedy)
    training = backbone.training
    try:
        with torch.inference_mode():
            features = backbone.eval()(torch.zeros(1, 3, side_px, side_px))
    except Exception as error:  # whatever the user's forward raises
        said = " ".join(str(error).split())
        raise UsageError(
            f"--backbone {name}: its width is unknown, {side_px} px do not pass ({said})",
            remedy,
        ) from error
    finally:
        backbone.train(training)
    if not isinstance(features, torch.Tensor) or features.ndim != 2 or len(features) != 1:
        shape = tuple(features.shape) if isinstance(features, torch.Tensor) else type(features)
        raise UsageError(
            f"--backbone {name}: gives {shape} for one image, not features [1, D]",
            "Pool and flatten at the end of forward.",
        )
    return int(features.shape[1])


def embedder(name: str, weights: str | Path | None = None, layers: Sequence[str] = ()) -> Embedder:
    """The features of a named backbone, in evaluation mode; arguments as in `build`."""
    return Embedder(build(name, 0, weights).backbone, layers).eval()


def _from_torchvision(name: str, num_classes: int, pretrained: bool) -> tuple[nn.Module, int]:
    """A network of torchvision with its last linear layer taken off."""
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        # Their own rescaling of the input is off: normalisation lives in one place.
        options = {"aux_logits": True, "transform_input": False}
        options |= {} if pretrained else {"init_weights": True}
    if pretrained:
        options |= {"weights": "DEFAULT", "progress": False}
    try:
        backbone = torchvision.models.get_model(name, **options)
    except OSError as error:
        raise not_downloaded(name, error) from error
    if isinstance(backbone, torchvision.models.SqueezeNet):
        # Its published head rectifies the logits, which stops learning with few classes.
        backbone.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1))
        return backbone, 512
    for auxiliary in AUXILIARY:
        with suppress(AttributeError):
            layer = backbone.get_submodule(auxiliary)
            new = nn.Linear(layer.in_features, num_classes or 1)
            backbone.set_submodule(auxiliary, new)
    last, layer = [(n, m) for n, m in backbone.named_modules() if isinstance(m, nn.Linear)][-1]
    backbone.set_submodule(last, nn.Identity())
    return backbone, layer.in_features


def _from_timm(found: Architecture, pretrained: bool, file: Path | None) -> tuple[Any, Path | None]:
    """A network of timm without its head, and the file that holds its weights if we load them."""
    if not pretrained or found.weights is None:
        return make(found, pretrained), file
    return make(found), found.weights()


def _grid_px(backbone: Any) -> int | None:
    """The side of the images that a transformer's positions are made for."""
    size = getattr(getattr(backbone, "patch_embed", None), "img_size", None)
    return int(size[0]) if size else None


def _without_imagenet(name: str) -> ModelError:
    return ModelError(f"{name} has no ImageNet weights", "Leave weights out, or give a file.")
