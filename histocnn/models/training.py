"""A training run with Lightning: what it is made of, its course, and what it leaves behind."""

from __future__ import annotations

import errno
import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
)
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger
from pytorch_lightning.plugins.io import CheckpointIO
from pytorch_lightning.utilities.exceptions import (  # type: ignore[attr-defined]
    MisconfigurationException,
)

from histocnn.cohort.splits import write_split
from histocnn.errors import TrainingError
from histocnn.metrics.report import Report
from histocnn.models import outcome
from histocnn.models.abstention import calibrated
from histocnn.models.census import few, table
from histocnn.models.checkpoints import check_fits, read_checkpoint, restoring
from histocnn.models.classifier import Classifier
from histocnn.models.data import PatchDataModule
from histocnn.models.dense_calibration import dense_calibration
from histocnn.models.device import choose_bf16
from histocnn.models.options import TrainOptions, better
from histocnn.models.rows import CALIBRATION
from histocnn.models.run_folder import METRICS, MODEL, begin, checkpoint
from histocnn.models.saving import WholeCheckpoints
from histocnn.models.shared import Shared, find_shared
from histocnn.models.spec import save
from histocnn.storage.atomic import write_error, write_text

# Hints of Lightning's that do not apply: our loaders and samplers are as they must be.
LOADER_DIED = re.compile(r"DataLoader worker \(pid.*\) (is killed|exited unexpectedly)")
NOT_APPLICABLE = (
    ".*does not have many workers.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*The number of training batches .* is smaller than the logging interval.*",
    ".*LeafSpec.*is deprecated.*",
    ".*`srun` command is available.*",
    ".*recommended to use .*sync_dist=True.*",  # torchmetrics has already gathered the values
)


def train(options: TrainOptions, show: Callable[[Shared], None] | None = None) -> Report | None:
    """Train, write the model, the test split's scores and its figures.

    Args:
        options: All of them.
        show: Shows what two splits have in common, before it is refused or allowed.

    Returns:
        None of a trial (`fast_dev_run`), and in every process but the first.

    Raises:
        HistocnnError: What cannot be trained, and why; see `PatchDataModule` and `Classifier`.
    """
    with our_errors(options.run.out):
        run = _Run(options)
        run.admit(show)
        run.fit()
        return None if options.trainer["fast_dev_run"] else run.conclude()


class _Run:
    """Data, network and trainer of one run."""

    def __init__(self, options: TrainOptions) -> None:
        self.options, seed = options, options.run.seed_everything
        hush()
        seed_everything(seed, workers=True, verbose=False)
        self.data = data = PatchDataModule(options.data, seed)
        self.model = Classifier(
            data.class_names,
            options.model,
            class_weights=data.class_weights,
            input_px=data.input_px,
            stain=data.stain,
            seed=seed,
        )
        self.model.network.to(memory_format=torch.channels_last)
        if options.run.compile:
            self.model.network.compile()
        self.trainer = make_trainer(options)

    def admit(self, show: Callable[[Shared], None] | None) -> None:
        """Look for images that two splits share."""
        shared = find_shared(self.data.all_rows, self.data.parts)
        if shared.copies and show and self.trainer.is_global_zero:
            show(shared)
        shared.admit(allowed=self.options.data.allow_copies)

    def fit(self) -> None:
        """Train, from the start or from a checkpoint."""
        start = checkpoint(self.options.run.ckpt_path, self.options.run.out)
        if start is not None:
            check_fits(start, read_checkpoint(start), self.model)
        if self.trainer.is_global_zero:
            said = (table(self.data.rows), few(self.data.rows, self.options.model))
            print(*filter(None, said), sep="\n", flush=True)
        if start is None:
            self._begin()
            self.trainer.fit(self.model, self.data)
            return
        with restoring(start, self.trainer, self._begin):
            self.trainer.fit(self.model, self.data, ckpt_path=start, weights_only=True)

    def _begin(self) -> None:
        """Make the folder this run's; until then it is as it was."""
        if self.trainer.is_global_zero and not self.options.trainer["fast_dev_run"]:
            begin(self.options)
            parts = [str(part) for part in self.data.parts]
            write_split(self.options.run.out / "split.csv", self.data.groups, parts)

    def conclude(self) -> Report | None:
        """Write from the best epoch the model, the test split's scores, and the figures."""
        out, data, model = self.options.run.out, self.data, self.model
        stored = out / "checkpoints" / "best.ckpt"
        best = read_checkpoint(stored)
        model.load_state_dict(best["state_dict"])
        val, test = (outcome.predict(self.trainer, model, data, part) for part in ("val", "test"))
        kept = None
        if CALIBRATION in data.rows:
            kept = outcome.predict(self.trainer, model, data, CALIBRATION)
        colour = outcome.training_colours(data)
        if not self.trainer.is_global_zero:
            return None
        spec = outcome.finished_spec(
            model, data, val, colour,
            anonymise=self.options.run.anonymise, weights=self.options.model.weights,
        )  # fmt: skip
        if kept is not None:
            spec = calibrated(spec, kept.logits, data.rows[CALIBRATION])
        place = self.trainer.strategy.root_device
        spec = replace(spec, dense=dense_calibration(model.network, spec, data, place))
        save(out / MODEL, model.network, spec)
        scores = outcome.write_scores(out, data, test, spec)
        report = outcome.report(data, scores, test.colour, spec)
        report = replace(report, best_epoch=int(best["epoch"]))
        write_text(out / METRICS, report.to_json())
        return report


def make_trainer(options: TrainOptions) -> Trainer:
    """The trainer with our loggers and callbacks in the output folder, and the user's behind."""
    out, stopping = options.run.out, options.early_stopping
    asked, mode = dict(options.trainer), stopping.mode or better(stopping.monitor)
    best = ModelCheckpoint(
        out / "checkpoints", filename="best", monitor=stopping.monitor, mode=mode,
        save_last=True, enable_version_counter=False,
        save_on_train_epoch_end=True,  # after validation a resumed run would be in mid-epoch
    )  # fmt: skip
    stop = EarlyStopping(**asdict(stopping) | {"mode": mode})
    ours: list[Callback] = [best, LearningRateMonitor(), stop]
    if asked["enable_progress_bar"] is not False:
        ours.append(RichProgressBar(leave=True))
    loggers: list[Logger] = [
        CSVLogger(out, "logs"),
        TensorBoardLogger(out / "logs", "tensorboard", version=0),
    ]
    asked |= {
        "default_root_dir": asked.get("default_root_dir") or out,
        "precision": asked["precision"] or default_precision(),
        "logger": [*loggers, *as_list(asked.get("logger"))],
        "callbacks": [*ours, *as_list(asked.get("callbacks"))],
        "plugins": _with_checkpoints(as_list(asked.get("plugins")), asked.get("strategy")),
    }
    return Trainer(**asked)


def _with_checkpoints(plugins: list[Any], strategy: Any) -> list[Any]:
    """Add our way to write checkpoints, unless the user or the strategy has another."""
    theirs = any(isinstance(plugin, CheckpointIO) for plugin in plugins)
    usual = str(strategy or "auto").startswith(("auto", "ddp"))
    return plugins if theirs or not usual else [WholeCheckpoints(), *plugins]


def default_precision() -> str:
    """Choose bf16-mixed where the hardware multiplies it, else 32-true."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return "bf16-mixed" if choose_bf16("auto", device) else "32-true"


def as_list(asked: Any) -> list[Any]:
    """Make a list of None, a switch, one thing or several."""
    if asked is None or isinstance(asked, bool):
        return []
    return list(asked) if isinstance(asked, list | tuple) else [asked]


@contextmanager
def _told_once() -> Iterator[None]:
    """Keep quiet of a loader's death where torch tells it too early, and Python prints it.

    torch tells it from a signal's handler, and again where training waits for the next batch.
    """

    def lost(what: Any) -> None:
        if not LOADER_DIED.match(str(what.exc_value)):
            before(what)

    before, sys.unraisablehook = sys.unraisablehook, lost
    try:
        yield
    finally:
        sys.unraisablehook = before


def _tells_of_a_dead_loader(error: BaseException | None) -> bool:
    """Whether a loader's death is behind an error.

    Told from a signal's handler, it may come up in the middle of anything, and what catches it
    there raises another error from it.
    """
    while error is not None:
        if LOADER_DIED.match(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def hush() -> None:
    """Keep quiet of what does not apply."""
    for message in NOT_APPLICABLE:
        warnings.filterwarnings("ignore", message)
    for chatty in ("pytorch_lightning.utilities.rank_zero", "lightning.fabric"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


@contextmanager
def our_errors(out: Path) -> Iterator[None]:
    """Say in our words what Lightning and torch find wrong; `out` is where they write."""
    try:
        with _told_once():
            yield
    except MisconfigurationException as error:
        absent = re.search("gpu|cuda|accelerator", str(error), re.IGNORECASE)
        remedy = "Use --trainer.accelerator cpu, or auto." if absent else ""
        raise TrainingError(" ".join(str(error).split()), remedy) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise write_error(out, error) from error
    except Exception as error:
        if _tells_of_a_dead_loader(error):
            raise TrainingError(
                "a loader of patches was killed",
                "Most often memory ran out: lower --data.workers, then train again.",
            ) from error
        if not isinstance(error, RuntimeError):
            raise
        if not isinstance(error, torch.OutOfMemoryError) and "t allocate memory" not in str(error):
            raise
        raise TrainingError(
            "a batch does not fit the memory",
            "Lower --data.batch_size (and raise --trainer.accumulate_grad_batches by as much).",
        ) from error
