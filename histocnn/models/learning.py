"""How a network learns: its loss, its measures, its optimizer and the rate's course."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC

from histocnn.models.custom import construct, step
from histocnn.models.networks import Network
from histocnn.models.options import ModelOptions
from histocnn.models.refusals import check_own_loss

THRESHOLDS = 200  # of the validation AUROC while training; metrics.json has the exact one


def build_loss(options: ModelOptions, class_weights: list[float] | None) -> nn.Module:
    """Cross-entropy, or the user's own: logits [B, C], classes [B] → a number.

    Raises:
        UsageError: No module of torch at `class_path`, or options that only cross-entropy has.
    """
    if options.loss is None:
        weights = None if class_weights is None else torch.tensor(class_weights)
        return nn.CrossEntropyLoss(weights, label_smoothing=options.label_smoothing)
    path, arguments = step("--model.loss", options.loss)
    check_own_loss(options, weighted=class_weights is not None)
    return construct("--model.loss", path, nn.Module, arguments)


class MacroAUROC(MulticlassAUROC):
    """The mean over the classes whose one-vs-rest AUROC is defined; NaN where none is.

    torchmetrics says 0 of a class that is absent, which is neither true nor undefined.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, average="none", thresholds=THRESHOLDS)

    def compute(self) -> Tensor:  # type: ignore[override]
        """The mean, a number."""
        areas: Any = super().compute()
        negatives, positives = self.confmat[0].sum(-1).unbind(-1)  # [T, C, truth, called]
        defined = (negatives > 0) & (positives > 0)
        mean: Tensor = areas[defined].mean()
        return mean


def measures(classes: int) -> nn.ModuleDict:
    """What is measured of each epoch beside the loss, by split."""

    def accuracy() -> MulticlassAccuracy:
        return MulticlassAccuracy(classes, average="micro")

    val: dict[str, Any] = {"val_accuracy": accuracy(), "val_auroc": MacroAUROC(classes)}
    return nn.ModuleDict(
        {
            "train_measures": MetricCollection({"train_accuracy": accuracy()}),
            "val_measures": MetricCollection(val),
        }
    )


def optimizer(network: Network, options: ModelOptions) -> torch.optim.Optimizer:
    """Groups for head and backbone, each with and without decay."""
    groups: list[dict[str, Any]] = []
    for module, factor in ((network.head, 1.0), (network.backbone, options.backbone_factor)):
        rate = {"lr": options.learning_rate * factor}
        learning = [p for p in module.parameters() if p.requires_grad]
        groups += [
            {"params": [p for p in learning if p.ndim > 1], **rate},
            {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0, **rate},
        ]
    groups = [group for group in groups if group["params"]]
    if options.optimizer == "adamw":
        return torch.optim.AdamW(groups, weight_decay=options.weight_decay)
    return torch.optim.SGD(groups, momentum=0.9, weight_decay=options.weight_decay)


def warm_up_and_cosine(warmup: int, steps: int) -> Callable[[int], float]:
    """The learning rate's factor by step: up linearly over `warmup`, then down as a cosine to 0."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = (step - warmup) / max(1, steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return factor
