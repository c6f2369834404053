"""What cannot be meant of a training run, said before a network's library is loaded."""

from __future__ import annotations

from typing import Any

from histocnn.errors import UsageError
from histocnn.models import hub
from histocnn.models.by_source import torchvision_names
from histocnn.models.encoders import find, nearest

PRESETS = ("none", "light", "histology")  # of `augment`
OURS = ("mlp", "lenet5")  # of `networks`


def check_meant(data: Any, model: Any) -> None:
    """Refuse options that contradict each other, and names that nobody knows.

    Args:
        data: `DataOptions`, or what was parsed of them.
        model: `ModelOptions`, or what was parsed of them.

    Raises:
        UsageError: Which option, and what may be given.
    """
    if isinstance(data.augment, str):
        check_preset(data.augment)
    check_probe(model)
    if model.loss is not None:
        check_own_loss(model, weighted=data.balance == "loss")
    check_name(model.backbone)


def check_preset(name: str) -> None:
    """Refuse an augmentation that is not there.

    Raises:
        UsageError: None has this name.
    """
    if name not in PRESETS:
        raise UsageError(f"no augmentation is called {name!r}", f"Use {', '.join(PRESETS)}.")


def check_probe(model: Any) -> None:
    """Refuse to learn a head on a backbone that learnt nothing.

    Raises:
        UsageError: The backbone is frozen and has no weights.
    """
    if model.finetune == "head" and model.weights is None:
        raise UsageError(
            "a linear probe needs a trained backbone", "Give --model.weights imagenet or a file."
        )


def check_own_loss(model: Any, *, weighted: bool) -> None:
    """Refuse options of cross-entropy beside somebody's own loss.

    Raises:
        UsageError: Classes are weighted, or labels are smoothed.
    """
    if weighted or model.label_smoothing:
        raise UsageError(
            "--model.loss knows nothing of --data.balance loss and --model.label_smoothing",
            "Give weights and smoothing to the loss as init_args.",
        )


def check_name(backbone: str) -> None:
    """Refuse a network's name that stands for none, as far as that can be told without torch.

    Raises:
        UsageError: Neither an encoder, nor torchvision's, nor ours; the nearest are offered.
    """
    known = torchvision_names()
    name = hub.spelled(backbone)
    elsewhere = ":" in name or "/" in name or find(name) is not None
    if known and not elsewhere and name not in known and name not in OURS:
        raise unknown_network(name)


def unknown_network(name: str) -> UsageError:
    """The error for a network that nobody knows."""
    return UsageError(
        f"no network is called {name!r}",
        f"{nearest(name)} Or use torchvision's name (resnet18), timm/NAME, hf-hub:ORG/NAME, "
        "mlp, lenet5, or package.module:Class.",
    )
