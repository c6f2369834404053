"""The LightningModule: a network, its loss, one batch step, and how it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC

from histocnn.errors import TrainingError, UsageError
from histocnn.models.backbones import build, normalisation
from histocnn.models.spec import ModelSpec, to_input

Batch = dict[str, Any]
AUXILIARY_WEIGHT = 0.3  # Szegedy et al., "Going deeper with convolutions", 2015


class Classifier(LightningModule):
    """Fine-tunes a network on patches of named classes.

    Args:
        class_names: Of the outputs; from the data.
        backbone: A name that `backbones.build` knows.
        weights: `imagenet`, a file, or nothing: from scratch.
        finetune: `full`, or `head`: a linear probe on the frozen backbone.
        backbone_factor: The backbone's learning rate as a share of the head's.
        dropout: Before the head.
        optimizer: `adamw` or `sgd` (momentum 0.9).
        learning_rate: Of the head, at its highest.
        weight_decay: On weights, not on biases and norms.
        warmup_epochs: The rate rises linearly so long, then falls as a cosine to 0.
        label_smoothing: Share of the truth given to all classes alike.
        class_weights: In the loss, [C]; from the data.
        input_px: Side to which patches are scaled; from the data.
        stain: Of the spec; from the data.
        seed: Of the dropout; follows seed_everything.

    Raises:
        UsageError: Weights or values that cannot be meant; see also `backbones.build`.
    """

    def __init__(
        self,
        class_names: list[str],
        backbone: str = "resnet18",
        weights: str | None = "imagenet",
        finetune: Literal["full", "head"] = "full",
        backbone_factor: float = 1.0,
        dropout: float = 0.0,
        optimizer: Literal["adamw", "sgd"] = "adamw",
        learning_rate: float = 3e-4,
        weight_decay: float = 0.05,
        warmup_epochs: float = 1.0,
        label_smoothing: float = 0.0,
        class_weights: list[float] | None = None,
        input_px: int | None = None,
        stain: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if finetune == "head" and weights is None:
            raise UsageError(
                "a linear probe needs a trained backbone", "Give --model.weights imagenet or a file"
            )
        self.network = build(backbone, len(class_names), weights, dropout)
        mean, std = normalisation(self.network.name)
        self.spec = ModelSpec(
            backbone=self.network.name,
            arguments=self.network.arguments,
            class_names=tuple(class_names),
            input_px=input_px,
            mean=mean,
            std=std,
            stain=stain,
        )
        self.finetune = finetune
        self.backbone_factor = backbone_factor
        self.optimizer = optimizer
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.warmup_epochs = warmup_epochs
        self.seed = seed
        self.loss = nn.CrossEntropyLoss(
            None if class_weights is None else torch.tensor(class_weights),
            label_smoothing=label_smoothing,
        )
        count = len(class_names)
        self.measures = nn.ModuleDict(
            {
                "train_measures": MetricCollection(
                    {"train_accuracy": MulticlassAccuracy(count, average="micro")}
                ),
                "val_measures": MetricCollection(
                    {
                        "val_accuracy": MulticlassAccuracy(count, average="micro"),
                        "val_auroc": MulticlassAUROC(count, thresholds=200),
                    }
                ),
            }
        )
        # Not Lightning's running mean of a logged loss: a checkpoint would carry it into the epoch
        # after it, and the first epoch of a resumed run would show another curve.
        self.losses = nn.ModuleDict(
            {f"{part}_loss": MeanMetric(nan_strategy="disable") for part in ("train", "val")}
        )
        self._unproven: tuple[Tensor, Tensor] | None = None  # last step's loss and rows
        if finetune == "head":
            # Lightning trains every module in the mode it finds it in: batch norm must not learn.
            self.network.backbone.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Classifier:
        """Switch dropout and batch norm, but never those of a frozen backbone."""
        super().train(mode)
        if self.finetune == "head":
            self.network.backbone.eval()
        return self

    def forward(self, pixels: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits of patches uint8 [B, H, W, 3]: see `Network.forward`."""
        outputs: Tensor | tuple[Tensor, ...] = self.network(to_input(pixels, self.spec))
        return outputs

    def step(self, batch: Batch, part: Literal["train", "val"]) -> Tensor | None:
        """The loss of a batch, logged with the other measures; None of an empty one."""
        labels: Tensor = batch["labels"]
        if not len(labels):
            return None
        outputs = self(batch["pixels"])
        logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        logits = logits.float()
        loss: Tensor = self.loss(logits, labels)
        for other in auxiliary:
            loss = loss + AUXILIARY_WEIGHT * self.loss(other.float(), labels)
        measures: Any = self.measures[f"{part}_measures"]
        measures.update(logits.detach().softmax(1), labels)
        mean: Any = self.losses[f"{part}_loss"]
        mean.update(loss.detach(), len(labels))
        return loss

    def training_step(self, batch: Batch, index: int) -> Tensor | None:
        """The loss to learn from."""
        self._prove()
        loss = self.step(batch, "train")
        if loss is not None:
            self._unproven = loss.detach(), batch["rows"]
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Log only."""
        self.step(batch, "val")

    def predict_step(self, batch: Batch) -> dict[str, Tensor]:
        """Rows of the split, logits, and colours, on the CPU."""
        logits = self(batch["pixels"])
        assert isinstance(logits, Tensor)  # noqa: S101  # no auxiliary heads outside of training
        return {
            "rows": batch["rows"].cpu(),
            "logits": logits.float().cpu(),
            "colour": batch["colour"].cpu(),
        }

    def on_train_epoch_start(self) -> None:
        """Make dropout a function of seed, epoch and process, so that nothing need be stored."""
        state = np.random.SeedSequence((self.seed, self.current_epoch, self.global_rank))
        torch.manual_seed(int(state.generate_state(1)[0]))

    def on_train_epoch_end(self) -> None:
        """Log the epoch's measures."""
        self._prove()
        self._log("train")

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's measures."""
        self._log("val")

    def _log(self, part: str) -> None:
        measures: Any = self.measures[f"{part}_measures"]
        mean: Any = self.losses[f"{part}_loss"]
        self.log_dict({f"{part}_loss": mean.compute()} | measures.compute(), prog_bar=True)
        measures.reset()
        mean.reset()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the classes: a resumed run must mean the same by its outputs."""
        checkpoint["class_names"] = list(self.spec.class_names)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse other classes.

        Raises:
            TrainingError: The checkpoint's classes are not these.
        """
        stored, ours = checkpoint.get("class_names"), list(self.spec.class_names)
        if stored != ours:
            raise TrainingError(
                f"the checkpoint's classes are {stored}, the patches' are {ours}",
                "Train into another --out, or give the same --data.class_names",
            )

    def _prove(self) -> None:
        """Stop on a loss that is not finite, one step late: a GPU need not wait for the check.

        Raises:
            TrainingError: Names the batch's patches.
        """
        if self._unproven is None:
            return
        loss, rows = self._unproven
        self._unproven = None
        if not torch.isfinite(loss):
            data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
            names = [data.rows["train"].name(int(i)) for i in rows[:8]]
            more = f" and {len(rows) - 8} more" if len(rows) > 8 else ""
            raise TrainingError(
                f"the loss became {loss.item()} in epoch {self.current_epoch} on "
                f"{', '.join(names)}{more}",
                "Lower model.learning_rate, or look at these patches",
            )

    def configure_optimizers(self) -> Any:
        """Groups for head and backbone, each with and without decay; warm-up and cosine."""
        groups = []
        for module, factor in ((self.network.head, 1.0),
                               (self.network.backbone, self.backbone_factor)):  # fmt: skip
            rate = {"lr": self.learning_rate * factor}
            learning = [p for p in module.parameters() if p.requires_grad]
            groups += [
                {"params": [p for p in learning if p.ndim > 1], **rate},
                {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0, **rate},
            ]
        groups = [g for g in groups if g["params"]]
        optimizer: torch.optim.Optimizer
        if self.optimizer == "adamw":
            optimizer = torch.optim.AdamW(groups, weight_decay=self.weight_decay)
        else:
            optimizer = torch.optim.SGD(groups, momentum=0.9, weight_decay=self.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        warmup = round(steps * self.warmup_epochs / max(self.trainer.max_epochs or 1, 1))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warm_up_and_cosine(warmup, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def warm_up_and_cosine(warmup: int, steps: int) -> Callable[[int], float]:
    """The learning rate's factor by step: up linearly over `warmup`, then down as a cosine to 0."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = (step - warmup) / max(1, steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return factor
