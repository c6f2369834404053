"""Networks by name: a backbone that gives features, and one linear head on top.

The names are torchvision's, `timm/NAME`, `hf-hub:ORG/NAME`, two of our own that no library has
(`mlp` and `lenet5`, as the lectures teach them), and people's own `package.module:Class`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

from histocnn.errors import HistocnnError, ModelError, UsageError
from histocnn.models.custom import construct, is_custom
from histocnn.models.networks import OWN, Embedder, Network
from histocnn.models.weights import load_weights

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MEASURED_PX = 224  # side of the image that tells an own network's width
# Arguments of timm's that are no architecture's: they read files or ask the hub. A model file or
# the hub's own configuration brings arguments along.
NOT_ARCHITECTURE = {"cache_dir", "checkpoint_path", "exportable", "no_jit", "pretrained",
                    "pretrained_cfg", "pretrained_cfg_overlay", "scriptable"}  # fmt: skip
AUXILIARY = ("aux1.fc2", "aux2.fc2", "AuxLogits.fc")  # googlenet, inception_v3


def build(
    name: str,
    num_classes: int,
    weights: str | Path | None = None,
    dropout: float = 0.0,
    arguments: Mapping[str, Any] | None = None,
) -> Network:
    """A network of this name with a new head.

    Args:
        name: torchvision's, `timm/NAME`, `hf-hub:ORG/NAME`, `mlp`, `lenet5`, or, only ever as
            somebody typed it, `package.module:Class`.
        num_classes: Outputs; 0 for features.
        weights: `imagenet` (the library's own download), a `.safetensors` or `.pth` of the
            backbone, or None. The head is always new.
        dropout: Before the head.
        arguments: Of a timm architecture, as a spec keeps them.

    Raises:
        UsageError: Nobody knows the name.
        ModelError: The weights cannot be had, or are not this network's.
    """
    pretrained = str(weights) == "imagenet"
    arguments = dict(arguments or {})
    if name in OWN:
        if pretrained:
            raise _without_imagenet(name)
        make, width = OWN[name]
        backbone = make()
    elif is_custom(name):
        if pretrained:
            raise _without_imagenet(name)
        backbone = construct("--backbone", name, nn.Module, {})
        width = feature_width(name, backbone)
    elif name.startswith(("timm/", "hf-hub:")):
        backbone, width, name, arguments = _from_timm(name, pretrained, arguments)
    elif name in torchvision.models.list_models(module=torchvision.models):
        backbone, width = _from_torchvision(name, num_classes, pretrained)
    else:
        raise UsageError(
            f"no network is called {name!r}",
            "Use torchvision's name (resnet18), timm/NAME, hf-hub:ORG/NAME, mlp, lenet5, or "
            "package.module:Class.",
        )
    if weights is not None and not pretrained:
        load_weights(backbone, Path(weights))
    return Network(backbone, width, num_classes, dropout, name, arguments)


def feature_width(name: str, backbone: nn.Module) -> int:
    """Features per image of somebody's own network: what it says, else what it gives for one.

    Its attribute `width` says it; without one a black image of 224 px goes through it.

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
            features = backbone.eval()(torch.zeros(1, 3, MEASURED_PX, MEASURED_PX))
    except Exception as error:  # whatever the user's forward raises
        said = " ".join(str(error).split())
        raise UsageError(
            f"--backbone {name}: its width is unknown, {MEASURED_PX} px do not pass ({said})",
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


def normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of RGB in 0..1 that this network's published weights expect."""
    if name.startswith("timm/"):
        import timm

        cfg = timm.get_pretrained_cfg(name.removeprefix("timm/"), allow_unregistered=True)
        if cfg is not None:
            return tuple(cfg.mean), tuple(cfg.std)
    return IMAGENET_MEAN, IMAGENET_STD


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
        raise _not_downloaded(name, error) from error
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


def _from_timm(
    name: str, pretrained: bool, arguments: dict[str, Any]
) -> tuple[nn.Module, int, str, dict[str, Any]]:
    """A network of timm without its head; a hub name is resolved, so that a spec needs no hub."""
    import timm

    architecture = name.removeprefix("timm/")
    try:
        if name.startswith("hf-hub:"):
            cfg, architecture, arguments = timm.models.load_model_config_from_hf(
                name.removeprefix("hf-hub:")
            )
            arguments = _of_architecture(name, arguments or {})
            options = {"pretrained_cfg": cfg} | arguments
        else:
            options = _of_architecture(name, arguments)
            if not timm.is_model(architecture):
                raise UsageError(f"timm has no network {architecture!r}", "See timm.list_models().")
        options["num_classes"] = 0
        backbone: Any = timm.create_model(architecture, pretrained=pretrained, **options)
    except HistocnnError:
        raise
    except Exception as error:  # whatever the hub's client raises when it cannot reach the hub
        raise _not_downloaded(name, error) from error
    width: int = backbone.head_hidden_size
    return backbone, width, f"timm/{architecture}", arguments


def _of_architecture(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    if unwanted := NOT_ARCHITECTURE & arguments.keys():
        raise ModelError(
            f"{name}: its configuration sets {min(unwanted)}, which is no part of a network",
            "Take the model from its author.",
        )
    return dict(arguments)


def _without_imagenet(name: str) -> ModelError:
    return ModelError(f"{name} has no ImageNet weights", "Leave weights out, or give a file.")


def _not_downloaded(name: str, error: Exception) -> ModelError:
    return ModelError(
        f"{name} could not be downloaded ({type(error).__name__}) and is not cached",
        "Fetch its weights where there is a network and give the file as --weights FILE.",
    )
