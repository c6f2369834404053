"""What `histocnn train` can be told: the one declaration of its options, free of torch.

The flags, the YAML keys, the help and the first validation come from these classes; the data
module and the classifier take them as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from histocnn.jobs.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt, Probability, Share

Precision = Literal["auto", "fp32", "bf16"]  # of predict and embed
EngineName = Literal["torch", "compile", "onnx", "auto"]  # what computes their network
Measure = Literal["val_loss", "val_accuracy", "val_auroc", "train_loss", "train_accuracy"]


@dataclass(frozen=True)
class RunOptions:
    """Of a training run as a whole.

    Attributes:
        out: Folder to write.
        ckpt_path: Go on from a checkpoint: a file, or `last` (from the start if there is none).
        overwrite: Train again where `out` holds a finished run or one of another configuration.
        compile: torch.compile the network.
        anonymise: Store ids as salted hashes.
        seed_everything: Of split, order, augmentation, new weights and dropout.
    """

    out: Path = Path("runs/train")
    ckpt_path: str | None = None
    overwrite: bool = False
    compile: bool = False
    anonymise: bool = False
    seed_everything: NonNegativeInt = 0


@dataclass(frozen=True)
class DataOptions:
    """Labelled patches in three splits.

    Attributes:
        patches: A folder of grids, a folder of images by class, or a CSV of images.
        slides: Where the slides of grids are now; slides.csv decides patients and splits.
        patient_pattern: Regular expression that finds the patient in an image's path.
        class_names: The classes in order; default: those that occur, sorted.
        split_by: `patient` (slide where no patient is known), `stain` for images of unknown
            patients: pessimistic, or `file`: optimistic.
        fractions: Of train, val and test.
        folds: Instead of fractions k folds by turns: `fold` is test, the next val.
        fold: Which, from 0.
        calibration: Share of training's patients who are kept for nothing but `predict
            --confidence`, at least 20 of each class; in tables the split `calibration`.
        split_file: A split.csv of an earlier run, to be used again.
        allow_shared_patient: Split by slide where patients are too few; every figure says so.
        allow_copies: Go on although images of two splits show the same, recompressed, mirrored or
            scaled.
        hard: A list that `histocnn mine` wrote: its patches come twice into every epoch.
        max_per_class: A quick run: train on so many patches per class, drawn by seed.
        balance: Against unequal classes: weights in the loss, or a sampler that evens them out.
        augment: `none`, `light`, `histology`, or steps as {class_path: …, init_args: {…}}.
        input_px: Side to which patches are scaled; default: as they are.
        stain: Macenko normalisation, estimated per slide or (with seams) per patch.
        batch_size: Patches per step and process.
        workers: Processes that read and augment; 0: the main process does.
        start: How workers start.
    """

    patches: Path
    slides: Path | None = None
    patient_pattern: str | None = None
    class_names: list[str] | None = None
    split_by: Literal["patient", "stain", "file"] = "patient"
    fractions: tuple[Probability, Probability, Probability] = (0.7, 0.15, 0.15)
    folds: PositiveInt | None = None
    fold: NonNegativeInt = 0
    calibration: Share | None = None
    split_file: Path | None = None
    allow_shared_patient: bool = False
    allow_copies: bool = False
    hard: Path | None = None
    max_per_class: PositiveInt | None = None
    balance: Literal["none", "loss", "sampler"] = "none"
    augment: str | list[dict[str, Any]] = "histology"
    input_px: PositiveInt | None = None
    stain: Literal["none", "slide", "patch"] = "none"
    batch_size: PositiveInt = 64
    workers: NonNegativeInt = 2
    start: Literal["fork", "spawn"] = "fork"


@dataclass(frozen=True)
class ModelOptions:
    """A network, its loss, and how it learns.

    Attributes:
        backbone: torchvision's name, timm/NAME, hf-hub:ORG/NAME, local-dir:FOLDER, mlp, lenet5, or
            your own package.module:Class.
        weights: `imagenet` (of hf-hub and local-dir: theirs), a file, or nothing: from scratch.
        backbone_args: Arguments of a timm architecture, such as {"init_values": 1e-5}.
        pool: How a timm network's tokens or maps become features; default: as it does itself.
        allow_partial: Take what fits of a file of weights, though tensors are missing or unused.
        finetune: `full`, or `head`: a linear probe on the frozen backbone.
        backbone_factor: The backbone's learning rate as a share of the head's.
        dropout: Before the head.
        optimizer: `adamw` or `sgd` (momentum 0.9).
        learning_rate: Of the head, at its highest.
        weight_decay: On weights, not on biases and norms.
        warmup_epochs: The rate rises linearly so long, then falls as a cosine to 0.
        label_smoothing: Share of the truth given to all classes alike.
        loss: Instead of cross-entropy: {class_path: torch.nn.MultiMarginLoss, init_args: {…}}, a
            module called with logits [B, C] and classes [B].
    """

    backbone: str = "resnet18"
    weights: str | None = "imagenet"
    backbone_args: dict[str, Any] | None = None
    pool: Literal["cls", "mean", "cls+mean", "gem"] | None = None
    allow_partial: bool = False
    finetune: Literal["full", "head"] = "full"
    backbone_factor: NonNegativeFloat = 1.0
    dropout: Probability = 0.0
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: NonNegativeFloat = 3e-4
    weight_decay: NonNegativeFloat = 0.05
    warmup_epochs: NonNegativeFloat = 1.0
    label_smoothing: Probability = 0.0
    loss: dict[str, Any] | None = None


@dataclass(frozen=True)
class TrainerOptions:
    """What Lightning's Trainer is most often told; `histocnn train --help=all` shows the rest.

    Attributes:
        max_epochs: Training ends after so many.
        accelerator: `auto`, `cpu` or `gpu`.
        devices: How many or which of them; `auto`: all of this machine.
        num_nodes: Machines.
        strategy: How several devices work together: `auto`, `ddp` …
        precision: `32-true`, `16-mixed`, `bf16-mixed` …; default: bf16-mixed where the hardware
            multiplies it.
        accumulate_grad_batches: Batches whose gradients are added before a step.
        gradient_clip_val: Gradients of a larger norm are scaled to it.
        enable_progress_bar: Show how far each epoch is.
        fast_dev_run: Try so many batches, and leave nothing behind.
    """

    max_epochs: PositiveInt = 10
    accelerator: str = "auto"
    devices: int | str | list[int] = "auto"
    num_nodes: PositiveInt = 1
    strategy: str = "auto"
    precision: str | int | None = None
    accumulate_grad_batches: PositiveInt = 1
    gradient_clip_val: NonNegativeFloat | None = None
    enable_progress_bar: bool = True
    fast_dev_run: bool | int = False


@dataclass(frozen=True)
class StoppingOptions:
    """When training ends early, and which epoch is the best: Lightning's EarlyStopping.

    Attributes:
        monitor: The measure that decides.
        min_delta: A smaller change is no improvement.
        patience: Epochs without improvement after which training ends.
        verbose: Say what is decided.
        mode: `min`: less is better; `max`: more is; default: as the measure has it.
        strict: Stop if the measure is missing.
        check_finite: Stop if the measure is not finite.
        stopping_threshold: Stop once the measure is as good as this.
        divergence_threshold: Stop once the measure is as bad as this.
        check_on_train_epoch_end: Look after the training epoch instead of after validation.
        log_rank_zero_only: Say it on the first device only.
    """

    monitor: Measure = "val_loss"
    min_delta: float = 0.0
    patience: NonNegativeInt = 5
    verbose: bool = False
    mode: Literal["min", "max"] | None = None
    strict: bool = True
    check_finite: bool = True
    stopping_threshold: float | None = None
    divergence_threshold: float | None = None
    check_on_train_epoch_end: bool | None = None
    log_rank_zero_only: bool = False


def better(monitor: Measure) -> Literal["min", "max"]:
    """Whether less or more of a measure is better: only of a loss it is less."""
    return "min" if monitor.endswith("_loss") else "max"


SECTIONS = {
    "data": DataOptions,
    "model": ModelOptions,
    "trainer": TrainerOptions,
    "early_stopping": StoppingOptions,
}


@dataclass(frozen=True)
class TrainOptions:
    """All options of a training run.

    Attributes:
        run: Of the run as a whole.
        data: Which patches.
        model: Which network, and how it learns.
        trainer: Keyword arguments of Lightning's Trainer.
        early_stopping: When it ends.
        text: All of it as YAML, for `config.yaml`.
    """

    run: RunOptions
    data: DataOptions
    model: ModelOptions
    trainer: dict[str, Any]
    early_stopping: StoppingOptions
    text: str = field(default="", repr=False)
