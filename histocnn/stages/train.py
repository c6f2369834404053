"""`histocnn train`: LightningCLI around PatchDataModule and Classifier, and what is left behind."""

from __future__ import annotations

import csv
import logging
import re
import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import (
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
)
from pytorch_lightning.cli import ArgsType, LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from histocnn.cohort.splits import write_split
from histocnn.errors import TrainingError
from histocnn.models import outcome
from histocnn.models.classifier import Classifier
from histocnn.models.data import PatchDataModule
from histocnn.models.infer import choose_bf16
from histocnn.models.spec import save
from histocnn.pictures.training import write_confusion, write_history
from histocnn.storage.atomic import write_text
from histocnn.storage.json import to_json

log = logging.getLogger(__name__)

# Hints of Lightning's that do not apply: our loaders and samplers are as they must be.
NOT_APPLICABLE = (
    ".*does not have many workers.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*The number of training batches .* is smaller than the logging interval.*",
    ".*LeafSpec.*is deprecated.*",
    ".*`srun` command is available.*",
    ".*recommended to use .*sync_dist=True.*",  # torchmetrics has already gathered the values
)


class TrainCLI(LightningCLI):
    """The options of `histocnn train`: --data.*, --model.*, --trainer.* and a few of our own."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Declare our own options, and what follows from what."""
        parser.add_argument("--out", type=Path, default=Path("runs/train"), help="Folder to write.")
        parser.add_argument(
            "--ckpt_path", type=str | None, default=None,
            help="Go on from a checkpoint: a file, or `last` (from the start if there is none).",
        )  # fmt: skip
        parser.add_argument(
            "--compile", type=bool, default=False, help="torch.compile the network."
        )
        parser.add_argument(
            "--anonymise", type=bool, default=False, help="Store ids as salted hashes."
        )
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.set_defaults({"early_stopping.monitor": "val_loss", "early_stopping.patience": 5})
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        parser.link_arguments("seed_everything", "model.seed", compute_fn=int)
        for name in ("class_names", "class_weights", "input_px", "stain"):
            parser.link_arguments(f"data.{name}", f"model.{name}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the words after `train`; Lightning's own warns that sys.argv has more."""
        self.config = parser.parse_args(cast(list[str], args))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer with our loggers and checkpoints in the output folder."""
        out, stopping = self.config.out, self.config.early_stopping
        best = ModelCheckpoint(
            out / "checkpoints", filename="best", monitor=stopping.monitor, mode=stopping.mode,
            save_last=True, enable_version_counter=False,
            save_on_train_epoch_end=True,  # after validation a resumed run would be in mid-epoch
        )  # fmt: skip
        kwargs |= {
            "default_root_dir": out,
            "logger": [
                CSVLogger(out, "logs"),
                TensorBoardLogger(out / "logs", "tensorboard", version=0),
            ],
            "callbacks": [
                *(self.config_init.trainer.callbacks or []),
                best,
                LearningRateMonitor(),
                *([RichProgressBar(leave=True)] if self.config.trainer.enable_progress_bar else []),
            ],
        }
        return super().instantiate_trainer(**kwargs)


def train(args: Sequence[str]) -> int:
    """Train or fine-tune a network on labelled patches.

    Args:
        args: Words of the command line, as LightningCLI reads them.

    Returns:
        The exit code 0.

    Raises:
        HistocnnError: What cannot be trained, and why; see `PatchDataModule` and `Classifier`.
    """
    for message in NOT_APPLICABLE:
        warnings.filterwarnings("ignore", message)
    for chatty in ("pytorch_lightning.utilities.rank_zero", "lightning.fabric"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        cli = TrainCLI(
            Classifier,
            PatchDataModule,
            run=False,
            args=list(args),
            save_config_callback=None,
            seed_everything_default=0,
            trainer_defaults={
                "max_epochs": 10,
                "precision": default_precision(),
                "use_distributed_sampler": False,  # ours repeats nothing
                "enable_model_summary": False,
            },
            parser_kwargs={"prog": "histocnn train", "description": train.__doc__},
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )
        fit(cli)
        if not cli.config.trainer.fast_dev_run:  # a trial leaves no checkpoint
            conclude(cli)
    except MisconfigurationException as error:
        absent = re.search("gpu|cuda|accelerator", str(error), re.IGNORECASE)
        remedy = "Use --trainer.accelerator cpu, or auto" if absent else ""
        raise TrainingError(" ".join(str(error).split()), remedy) from error
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not isinstance(error, torch.OutOfMemoryError) and "t allocate memory" not in str(error):
            raise
        raise TrainingError(
            "a batch does not fit the memory",
            "Lower --data.batch_size (and raise --trainer.accumulate_grad_batches by as much)",
        ) from error
    return 0


def default_precision() -> str:
    """bf16-mixed where the hardware multiplies it."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return "bf16-mixed" if choose_bf16("auto", device) else "32-true"


def fit(cli: TrainCLI) -> None:
    """Train, from the start or from a checkpoint."""
    out: Path = cli.config.out
    cli.model.network.to(memory_format=torch.channels_last)
    if cli.config.compile:
        cli.model.network.compile()
    if cli.trainer.is_global_zero:
        write_text(out / "config.yaml", cli.parser.dump(cli.config, skip_validation=True))
        write_split(
            out / "split.csv", cli.datamodule.groups, [str(p) for p in cli.datamodule.parts]
        )
    cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=checkpoint(cli.config.ckpt_path, out),
                    weights_only=True)  # fmt: skip


def checkpoint(asked: str | None, out: Path) -> Path | None:
    """The checkpoint to go on from; None to begin.

    Raises:
        TrainingError: A file is named that is not there.
    """
    if asked is None:
        return None
    if asked == "last":
        last = out / "checkpoints" / "last.ckpt"
        if not last.is_file():
            log.warning("%s does not exist: training begins at the start", last)
        return last if last.is_file() else None
    if not Path(asked).is_file():
        raise TrainingError(f"{asked}: no such checkpoint", "Give a file, or --ckpt_path last")
    return Path(asked)


def conclude(cli: TrainCLI) -> None:
    """From the best epoch write the model, the test split's scores, and the figures."""
    out: Path = cli.config.out
    model, data, trainer = cli.model, cli.datamodule, cli.trainer
    best = torch.load(out / "checkpoints" / "best.ckpt", map_location="cpu", weights_only=True)
    model.load_state_dict(best["state_dict"])
    val, test = (outcome.predict(trainer, model, data, part) for part in ("val", "test"))
    colour_only = outcome.baseline(data, test)
    if not trainer.is_global_zero:
        return
    spec = outcome.finished_spec(model, data, val, anonymise=cli.config.anonymise)
    save(out / "model.safetensors", model.network, spec)
    scores = outcome.write_scores(out, data, test, spec)
    groups = [group for group, part in zip(data.groups, data.parts, strict=True) if part == "test"]
    metrics = outcome.metrics(data, scores, colour_only, spec.thresholds, groups)
    metrics["best_epoch"] = int(best["epoch"])
    write_text(out / "metrics.json", to_json(metrics, indent=2))
    write_history(out / "history.png", history(out / "logs"))
    write_confusion(
        out / "confusion.png", metrics["network"]["confusion"], data.class_names,
        f"test, accuracy {metrics['network']['accuracy']:.3f}",
    )  # fmt: skip
    print(summary(out, metrics))


def history(logs: Path) -> dict[str, list[tuple[int, float]]]:
    """Every epoch's measures of all (resumed) runs in a folder of CSV logs; the later run wins."""
    found: defaultdict[str, dict[int, float]] = defaultdict(dict)
    files = logs.glob("version_*/metrics.csv")
    for file in sorted(files, key=lambda f: int(f.parent.name.removeprefix("version_"))):
        with file.open(newline="") as lines:
            for row in csv.DictReader(lines):
                for name, value in row.items():
                    if value and re.match("(train|val)_", name):
                        found[name][int(row["epoch"])] = float(value)
    order = sorted(found, key=lambda name: (name.partition("_")[2] != "loss", name))
    return {name: sorted(found[name].items()) for name in order}


def summary(out: Path, metrics: dict[str, Any]) -> str:
    """The test split in two lines: the network, and colour alone beside it."""
    lines = [f"{out}: test split{' (' + metrics['title'] + ')' if metrics['title'] else ''}"]
    for name in ("network", "colour_only"):
        figures = metrics[name]
        values = []
        for key in outcome.COMPARED:
            if figures.get(key) is not None:
                low, high = figures["interval_95"].get(key, (None, None))
                interval = "" if low is None else f" [{low:.3f}, {high:.3f}]"
                values.append(f"{key} {figures[key]:.3f}{interval}")
        lines.append(f"  {name.replace('_', ' '):<12}" + "  ".join(values))
    return "\n".join(lines)
