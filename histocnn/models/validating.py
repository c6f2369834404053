"""A training that is only judged on validation, epoch by epoch, and leaves no file behind."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.callbacks import EarlyStopping

from histocnn.errors import TrainingError
from histocnn.metrics.patch import number
from histocnn.metrics.tally import tally
from histocnn.models.classifier import Classifier
from histocnn.models.data import PatchDataModule
from histocnn.models.options import TrainOptions, better
from histocnn.models.training import as_list, default_precision, hush, our_errors

Told = Callable[[int, float | None], None]  # epoch from 0, the metric; None: undefined


@dataclass(frozen=True)
class Validated:
    """What came of one training.

    Attributes:
        value: The metric on validation at the epoch that `early_stopping.monitor` chooses, as
            training itself would.
        epoch: That epoch, from 0.
        epochs: How many were trained.
    """

    value: float
    epoch: int
    epochs: int


def validate(options: TrainOptions, split_file: Path, metric: str, told: Told) -> Validated:
    """Train on the split file's training patients and judge on its validation patients.

    Nobody else's patches are opened.

    Args:
        options: Of the training; their own split is left aside.
        split_file: Names the patients of train and val.
        metric: A figure of `metrics.tally`, such as `macro_auroc` or `auroc:tumour`.
        told: Hears of every epoch.

    Raises:
        TrainingError: The loss, or the metric at the best epoch, is not a finite number; there is
            no such metric.
        HistocnnError: As `training.train`.
    """
    seed = options.run.seed_everything
    with our_errors(split_file.parent):
        hush()
        seed_everything(seed, workers=True, verbose=False)
        chosen = replace(options.data, split_file=split_file, calibration=None)
        data = PatchDataModule(chosen, seed, without_test=True)
        model = Classifier(
            data.class_names, options.model, class_weights=data.class_weights,
            input_px=data.input_px, stain=data.stain, seed=seed,
        )  # fmt: skip
        model.network.to(memory_format=torch.channels_last)
        watch = _Watch(model, metric, options, told)
        _trainer(options, watch).fit(model, data)
    return watch.found()


def _trainer(options: TrainOptions, watch: _Watch) -> Trainer:
    """Training's own, without its loggers, checkpoints and bars."""
    asked = dict(options.trainer)
    asked |= {
        "precision": asked["precision"] or default_precision(),
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "callbacks": [watch, *as_list(asked.get("callbacks"))],
    }
    return Trainer(**asked)


class _Watch(EarlyStopping):
    """Keeps what the network says of validation in the epoch under way, and the best epoch.

    It is the early stopping, too, because Lightning asks that one last, when all is logged.
    """

    def __init__(self, model: Classifier, metric: str, options: TrainOptions, told: Told) -> None:
        stopping = options.early_stopping
        mode = stopping.mode or better(stopping.monitor)
        super().__init__(**asdict(stopping) | {"mode": mode})
        self.names, self.metric, self.told = model.spec.class_names, metric, told
        self.sign = -1.0 if mode == "min" else 1.0
        self.scores: list[NDArray[np.float32]] = []
        self.labels: list[NDArray[np.int64]] = []
        self.keeps = False
        self.best: tuple[float, int, float | None] | None = None  # signed monitor, epoch, metric
        self.epochs = 0
        model.network.register_forward_hook(self._keep)

    def _keep(self, network: Any, given: Any, output: Any) -> None:
        if self.keeps:
            logits = output[0] if isinstance(output, tuple) else output
            self.scores.append(logits.detach().float().softmax(1).cpu().numpy())

    def on_validation_epoch_start(self, *_: Any) -> None:
        """Begin anew; before training Lightning tries two batches, which count for nothing."""
        self.scores, self.labels = [], []

    def on_validation_batch_start(self, trainer: Any, module: Any, batch: Any, *_: Any) -> None:
        """Keep the labels; of an empty batch the network is not asked."""
        self.keeps = len(batch["labels"]) > 0
        if self.keeps:
            self.labels.append(batch["labels"].cpu().numpy())

    def on_validation_batch_end(self, *_: Any) -> None:
        """Listen no more: training's own steps are not judged."""
        self.keeps = False

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Judge the epoch, whose validation is over."""
        measured = trainer.callback_metrics.get(self.monitor, float("nan"))
        if not np.isfinite(float(measured)):
            raise TrainingError(
                f"{self.monitor} became {float(measured)} in epoch {trainer.current_epoch}",
                "Lower model.learning_rate, or set early_stopping.monitor to val_loss.",
            )
        value = self._figure()
        rank = self.sign * float(measured)
        if self.best is None or rank > self.best[0]:
            self.best = rank, trainer.current_epoch, value
        self.epochs = trainer.current_epoch + 1
        self.told(trainer.current_epoch, value)
        super().on_train_epoch_end(trainer, module)

    def _figure(self) -> float | None:
        scores, labels = np.concatenate(self.scores), np.concatenate(self.labels)
        figures = tally(scores, labels, np.zeros(len(labels), np.int64), self.names).figures()
        if self.metric not in figures:
            known = ", ".join(itertools.islice((k for k in figures if ":" in k), 6))
            raise TrainingError(
                f"{self.metric} is no figure of the classes {', '.join(self.names)}",
                f"Of one class there are {known} and more.",
            )
        value: float | None = number(np.asarray(figures[self.metric]).reshape(-1)[0])
        return value

    def found(self) -> Validated:
        """The best epoch."""
        if self.best is None or self.best[2] is None:
            raise TrainingError(
                f"{self.metric} is undefined on validation at the best epoch",
                "Choose another metric, or fewer folds: each needs patches of every class.",
            )
        return Validated(self.best[2], self.best[1], self.epochs)
