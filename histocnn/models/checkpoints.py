"""Checkpoints of training, from whoever they come: read as tensors and numbers, never unpickled."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.exceptions import (  # type: ignore[attr-defined]
    MisconfigurationException,
)
from torch import Tensor

from histocnn.errors import HistocnnError, TrainingError

HOLDS = {"state_dict": Mapping, "epoch": int, "global_step": int, "loops": Mapping,
         "optimizer_states": list, "lr_schedulers": list, "callbacks": Mapping}  # fmt: skip
_REMEDY = "Name another --ckpt_path, or train from the start with --overwrite."


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read what Lightning wrote after an epoch.

    Raises:
        TrainingError: It is not there, damaged, holds objects, or is no checkpoint of training.
    """
    try:
        with warnings.catch_warnings():  # its unpickler warns of what it is about to refuse
            warnings.simplefilter("ignore")
            stored = torch.load(path, map_location="cpu", weights_only=True)
        with zipfile.ZipFile(path) as parts:  # torch itself compares no checksum
            damaged = parts.testzip()
    except OSError as error:
        said = error.strerror or error
        raise TrainingError(f"{path}: cannot be read ({said})", _REMEDY) from error
    except pickle.UnpicklingError as error:
        what = "holds something other than tensors and numbers, or is damaged"
        raise TrainingError(f"{path}: {what}; nothing is unpickled", _REMEDY) from error
    except Exception as error:  # torch raises of a damaged file what its reader stumbles over
        raise TrainingError(f"{path}: is damaged, or no file of PyTorch's", _REMEDY) from error
    if damaged is not None:
        raise TrainingError(f"{path}: is damaged in {damaged}", _REMEDY)
    missing = _missing(stored if isinstance(stored, Mapping) else {})
    if missing:
        raise TrainingError(f"{path}: is no checkpoint of training (no {missing})", _REMEDY)
    return dict(stored)


def _missing(stored: Mapping[str, Any]) -> str:
    """Which of a checkpoint's parts is not there, or not what it should be; empty: none."""
    wrong = [name for name, kind in HOLDS.items() if not isinstance(stored.get(name), kind)]
    if wrong:
        return ", ".join(wrong)
    if not all(isinstance(tensor, Tensor) for tensor in stored["state_dict"].values()):
        return "tensors"
    fit = stored["loops"].get("fit_loop")
    return "" if isinstance(fit, Mapping) and "epoch_progress" in fit else "progress"


def check_fits(path: Path, stored: Mapping[str, Any], model: LightningModule) -> None:
    """Refuse a checkpoint of another network.

    Raises:
        TrainingError: Its tensors are not the model's by name and shape.
    """
    shapes = {name: tensor.shape for name, tensor in stored["state_dict"].items()}
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    differing = [n for n in wanted | shapes if wanted.get(n) != shapes.get(n)]
    if differing:
        raise TrainingError(
            f"{path}: is of another network or of other classes ({differing[0]} differs)", _REMEDY
        )


class _Restored(Callback):
    """Calls a function once all is restored and training begins."""

    def __init__(self, begin: Callable[[], None]) -> None:
        self.begin, self.begun = begin, False

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin before a first look at the validation split."""
        self.on_train_start(trainer, pl_module)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin where there is no such look."""
        if self.begun:
            return
        for optimizer in trainer.optimizers:  # its options are replaced by the stored ones
            absent = [optimizer.defaults.keys() - group for group in optimizer.param_groups]
            if any(absent):
                raise ValueError("another optimizer's state")
        self.begun = True
        self.begin()


@contextmanager
def restoring(path: Path, trainer: Trainer, begin: Callable[[], None]) -> Iterator[None]:
    """Say that a checkpoint cannot be gone on from, whatever is raised as it is restored.

    Args:
        path: The checkpoint that the block's `fit` goes on from.
        trainer: Whose `fit` it is.
        begin: Called once all is restored, before the first step.

    Raises:
        TrainingError: Its optimizer, loops or callbacks do not fit these options.
    """
    restored = _Restored(begin)
    trainer.callbacks.append(restored)  # type: ignore[attr-defined]
    try:
        yield
    except Exception as error:  # whatever Lightning and torch stumble over
        ours = isinstance(error, HistocnnError | MisconfigurationException | torch.OutOfMemoryError)
        if restored.begun or ours:
            raise
        said = " ".join(str(error).split())[:200]
        raise TrainingError(
            f"{path}: does not fit these options ({type(error).__name__}: {said})",
            "Go on with the options of its run, or train from the start with --overwrite.",
        ) from error
