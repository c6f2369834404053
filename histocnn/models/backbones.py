"""Networks by name: a backbone that gives features, and one linear head on top.

The names are torchvision's, `timm/NAME`, `hf-hub:ORG/NAME`, and two of our own that no library
has: `mlp` and `lenet5`, as the lectures teach them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from histocnn.errors import ModelError, UsageError
from histocnn.models.weights import load_weights

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
AUXILIARY = ("aux1.fc2", "aux2.fc2", "AuxLogits.fc")  # googlenet, inception_v3


class Network(nn.Module):
    """A backbone and its linear head.

    Args:
        backbone: float [B, 3, H, W] → features [B, width]; in training mode a tuple with the
            logits of its auxiliary heads behind, where it has any.
        width: Features per image.
        num_classes: Outputs of the head; 0 leaves the head out.
        dropout: Probability before the head.
        name: The name that `build` makes this architecture from without a network.
        arguments: What `build` needs besides, JSON-able.
    """

    def __init__(
        self,
        backbone: nn.Module,
        width: int,
        num_classes: int,
        dropout: float = 0.0,
        name: str = "",
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head: nn.Module = nn.Identity()
        if num_classes:
            self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, num_classes))
        self.width = width
        self.name = name
        self.arguments = dict(arguments or {})

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits [B, C] (features [B, D] without a head).

        In training mode, for a network with auxiliary heads, a tuple: the logits, then theirs.
        """
        features = self.backbone(images)
        if isinstance(features, tuple):
            return (self.head(features[0]), *features[1:])
        logits: Tensor = self.head(features)
        return logits


class LeNet5(nn.Module):
    """LeCun et al. 1998, with a full C3 and pooling without parameters: [B, 3, 28, 28] → [B, 84].

    28 px are padded to 32, colour is averaged to grey. With ten classes 61,706 parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),      # 32 → 28 → 14
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),     # 14 → 10 → 5
            nn.Flatten(),
            nn.Linear(400, 120), nn.ReLU(),
            nn.Linear(120, 84), nn.ReLU(),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, 84]."""
        _need_28_px("lenet5", images)
        features: Tensor = self.layers(F.pad(images.mean(1, keepdim=True), (2, 2, 2, 2)))
        return features


class MLP(nn.Module):
    """One hidden layer of 512 units on grey pixels: [B, 3, 28, 28] → [B, 512]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 512), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, 512]."""
        _need_28_px("mlp", images)
        features: Tensor = self.layers(images.mean(1, keepdim=True))
        return features


def _need_28_px(name: str, images: Tensor) -> None:
    if tuple(images.shape[-2:]) != (28, 28):
        height, width = images.shape[-2:]
        raise ModelError(f"{name} takes 28 × 28 px and got {width} × {height}", "Set input_px: 28")


OWN: Mapping[str, tuple[type[nn.Module], int]] = {"mlp": (MLP, 512), "lenet5": (LeNet5, 84)}


def build(
    name: str,
    num_classes: int,
    weights: str | Path | None = None,
    dropout: float = 0.0,
    arguments: Mapping[str, Any] | None = None,
) -> Network:
    """A network of this name with a new head.

    Args:
        name: torchvision's, `timm/NAME`, `hf-hub:ORG/NAME`, `mlp` or `lenet5`.
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
            raise ModelError(f"{name} has no ImageNet weights", "Leave weights out")
        make, width = OWN[name]
        backbone = make()
    elif name.startswith(("timm/", "hf-hub:")):
        backbone, width, name, arguments = _from_timm(name, pretrained, arguments)
    elif name in torchvision.models.list_models(module=torchvision.models):
        backbone, width = _from_torchvision(name, num_classes, pretrained)
    else:
        raise UsageError(
            f"no network is called {name!r}",
            "Use torchvision's name (resnet18), timm/NAME, hf-hub:ORG/NAME, mlp or lenet5",
        )
    if weights is not None and not pretrained:
        load_weights(backbone, Path(weights))
    return Network(backbone, width, num_classes, dropout, name, arguments)


def feature_width(name: str) -> int:
    """Features per image of this backbone, found without allocating its weights."""
    if name in OWN:
        return OWN[name][1]
    with torch.device("meta"):
        return build(name, 0).width


def normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of RGB in 0..1 that this network's published weights expect."""
    if name.startswith("timm/"):
        import timm

        cfg = timm.get_pretrained_cfg(name.removeprefix("timm/"), allow_unregistered=True)
        if cfg is not None:
            return tuple(cfg.mean), tuple(cfg.std)
    return IMAGENET_MEAN, IMAGENET_STD


class Embedder(nn.Module):
    """A backbone's features: float [B, 3, H, W] → [B, D].

    Args:
        backbone: As in `Network`.
        layers: Module names of the backbone, such as `features.9`; each one's output is averaged
            over space (or tokens) and they are concatenated. Empty: the penultimate features.

    Raises:
        UsageError: The backbone has no such layer.
    """

    def __init__(self, backbone: nn.Module, layers: Sequence[str] = ()) -> None:
        super().__init__()
        self.backbone = backbone
        self._outputs: dict[str, Tensor] = {}
        self.layers = tuple(layers)
        modules = dict(backbone.named_modules())
        for layer in self.layers:
            if layer not in modules or not layer:
                names = ", ".join(list(dict(backbone.named_children())))
                raise UsageError(f"the backbone has no layer {layer!r}", f"It has {names}, …")
            modules[layer].register_forward_hook(self._keep(layer))

    def _keep(self, layer: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if output.ndim == 4:
                output = output.mean((2, 3))
            elif output.ndim == 3:  # tokens of a transformer
                output = output.mean(1)
            self._outputs[layer] = output

        return hook

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, D]."""
        features: Tensor = self.backbone(images)
        if not self.layers:
            return features
        return torch.cat([self._outputs.pop(layer) for layer in self.layers], dim=1)


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
            arguments = dict(arguments or {})
            options = {"pretrained_cfg": cfg} | arguments
        else:
            options = dict(arguments)
            if not timm.is_model(architecture):
                raise UsageError(f"timm has no network {architecture!r}", "See timm.list_models()")
        options["num_classes"] = 0
        backbone: Any = timm.create_model(architecture, pretrained=pretrained, **options)
    except UsageError:
        raise
    except Exception as error:  # whatever the hub's client raises when it cannot reach the hub
        raise _not_downloaded(name, error) from error
    width: int = backbone.head_hidden_size
    return backbone, width, f"timm/{architecture}", arguments


def _not_downloaded(name: str, error: Exception) -> ModelError:
    return ModelError(
        f"{name} could not be downloaded ({type(error).__name__}) and is not cached",
        "Fetch its weights where there is a network and give the file as --weights FILE",
    )
