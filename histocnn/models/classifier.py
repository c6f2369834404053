"""The LightningModule: a network, its loss, one batch step, and how it learns."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics import MeanMetric

from histocnn.errors import TrainingError, UsageError
from histocnn.models.backbones import build
from histocnn.models.learning import build_loss, measures, optimizer, warm_up_and_cosine
from histocnn.models.networks import takes
from histocnn.models.options import ModelOptions
from histocnn.models.preparation import to_input
from histocnn.models.refusals import check_probe
from histocnn.models.spec import ModelSpec, terms_behind

Batch = dict[str, Any]
AUXILIARY_WEIGHT = 0.3  # Szegedy et al., "Going deeper with convolutions", 2015


class Classifier(LightningModule):
    """Fine-tunes a network on patches of named classes.

    Args:
        class_names: Of the outputs; from the data.
        options: The network, its loss, and how it learns.
        class_weights: In the loss, [C]; from the data.
        input_px: Side to which patches are scaled; from the data.
        stain: Of the spec; from the data.
        seed: Of the dropout.

    Raises:
        UsageError: Weights or values that cannot be meant; see also `backbones.build`.
    """

    def __init__(
        self,
        class_names: list[str],
        options: ModelOptions,
        *,
        class_weights: list[float] | None = None,
        input_px: int | None = None,
        stain: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_probe(options)
        self.options = options
        self.network = build(
            options.backbone,
            len(class_names),
            options.weights,
            options.dropout,
            options.backbone_args,
            options.pool,
            options.allow_partial,
        )
        how, weights = self.network.preparation, options.weights
        self.spec = ModelSpec(
            backbone=self.network.name,
            arguments=self.network.arguments,
            pool=self.network.pool,
            class_names=tuple(class_names),
            input_px=input_px or how.input_px,
            resize_px=None if input_px else how.resize_px,
            interpolation=how.interpolation,
            mean=how.mean,
            std=how.std,
            encoder=(self.network.terms or terms_behind(options.backbone, weights)).to_dict(),
            stain=stain,
        )
        self.seed = seed
        self.loss = build_loss(options, class_weights)
        self.measures = measures(len(class_names))
        # Not Lightning's running mean of a logged loss: a checkpoint would carry it into the epoch
        # after it, and the first epoch of a resumed run would show another curve.
        self.losses = nn.ModuleDict(
            {f"{part}_loss": MeanMetric(nan_strategy="disable") for part in ("train", "val")}
        )
        self._unproven: tuple[Tensor, Tensor] | None = None  # last step's loss and rows
        if options.finetune == "head":
            # Lightning trains every module in the mode it finds it in: batch norm must not learn.
            self.network.backbone.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Classifier:
        """Switch dropout and batch norm, but never those of a frozen backbone."""
        super().train(mode)
        if self.options.finetune == "head":
            self.network.backbone.eval()
        return self

    def forward(self, pixels: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits of patches uint8 [B, H, W, 3]: see `Network.forward`."""
        images = to_input(pixels, self.spec)
        with takes(self.network.name, images):
            outputs: Tensor | tuple[Tensor, ...] = self.network(images)
        return outputs

    def step(self, batch: Batch, part: Literal["train", "val"]) -> Tensor | None:
        """The loss of a batch, logged with the other measures; None of an empty one."""
        labels: Tensor = batch["labels"]
        if not len(labels):
            return None
        outputs = self(batch["pixels"])
        logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        logits = logits.float()
        loss: Tensor = self._loss(logits, labels)
        for other in auxiliary:
            loss = loss + AUXILIARY_WEIGHT * self._loss(other.float(), labels)
        measured: Any = self.measures[f"{part}_measures"]
        measured.update(logits.detach().softmax(1), labels)
        mean: Any = self.losses[f"{part}_loss"]
        mean.update(loss.detach(), len(labels))
        return loss

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        loss: Any = self.loss(logits, labels)
        if not isinstance(loss, Tensor) or loss.ndim:
            shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise UsageError(
                f"--model.loss gave {shape} of a batch instead of one number",
                "Give it init_args such as {reduction: mean}.",
            )
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
        measured: Any = self.measures[f"{part}_measures"]
        mean: Any = self.losses[f"{part}_loss"]
        values = {f"{part}_loss": mean.compute()} | measured.compute()
        defined = {k: v for k, v in values.items() if k.endswith("_loss") or not v.isnan()}
        self.log_dict(defined, prog_bar=True)  # what is undefined stays blank
        measured.reset()
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
                "Train into another --out, or give the same --data.class_names.",
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
                "Lower model.learning_rate, or look at these patches.",
            )

    def configure_optimizers(self) -> Any:
        """The optimizer, and its rate: warm-up and cosine."""
        made = optimizer(self.network, self.options)
        steps, epochs = int(self.trainer.estimated_stepping_batches), self.trainer.max_epochs or 1
        warmup = round(steps * self.options.warmup_epochs / max(epochs, 1))
        schedule = torch.optim.lr_scheduler.LambdaLR(made, warm_up_and_cosine(warmup, steps))
        return {"optimizer": made, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
