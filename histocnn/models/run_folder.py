"""The folder of a training run: whose it is, whether the run is finished, and its curves."""

from __future__ import annotations

import csv
import hashlib
import inspect
import logging
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from histocnn.errors import TrainingError, UsageError
from histocnn.jobs.ownership import check_apart, check_files, claim_files, first_line
from histocnn.models.options import SECTIONS, DataOptions, TrainOptions
from histocnn.models.parsing import DEFAULTS
from histocnn.storage.atomic import write_text
from histocnn.storage.hashing import sha256
from histocnn.storage.json import to_json
from histocnn.storage.yaml import load_yaml, read_text

log = logging.getLogger(__name__)

CONFIG, METRICS, MODEL = "config.yaml", "metrics.json", "model.safetensors"
INPUTS = "# inputs sha256:"  # first line of config.yaml: what was trained on
OWN = (CONFIG, METRICS, MODEL, "split.csv", "history.png", "confusion.png", "copies.csv",
       "copies.png", "scores.h5", "scores", "checkpoints", "logs")  # fmt: skip
# Keys that change nothing about what is learnt.
ASIDE = {"data.allow_copies", "out", "ckpt_path", "overwrite", "data.workers", "data.start",
         "trainer.enable_progress_bar"}  # fmt: skip
Curves = dict[str, list[tuple[int, float]]]


def check_ours(options: TrainOptions) -> None:
    """Refuse to train among the patches, or over files that no training run made.

    Raises:
        UsageError: `out` holds such.
        StoreError: `out` is a file.
    """
    out, patches = options.run.out, options.data.patches
    check_apart(out, [patches] if patches.suffix.lower() != ".csv" else [])
    ours = (INPUTS, "# pytorch_lightning")  # what config.yaml begins with
    check_files(out, "train", OWN, lambda: first_line(out / CONFIG).startswith(ours))


def is_finished(options: TrainOptions) -> bool:
    """Whether `out` already holds what these options and inputs give.

    Never where the run is to go on from a checkpoint or to overwrite.

    Raises:
        TrainingError: `out` holds a run of another configuration or of other patches.
    """
    out = options.run.out
    if options.run.overwrite or options.run.ckpt_path is not None:
        return False
    if not (out / CONFIG).is_file():
        return False
    stored = _stored(out / CONFIG)
    differing = _differing(stored, options.text)
    digest = stored.partition("\n")[0]
    if digest.startswith(INPUTS) and digest != INPUTS + inputs(options.data):
        differing.append("what lies at data.patches and the other inputs")
    if differing:
        raise TrainingError(
            f"{out}: holds a run of another configuration ({', '.join(differing)})",
            "Give another --out, --overwrite to train in its place, or --ckpt_path last to go on.",
        )
    if all((out / name).is_file() for name in (METRICS, MODEL)):
        return True
    if (out / "checkpoints" / "last.ckpt").is_file():
        log.warning("%s: an unfinished run begins again; --ckpt_path last would go on", out)
    return False


def begin(options: TrainOptions) -> None:
    """Write the configuration, and take away what an earlier run left that would mix with this."""
    out = options.run.out
    claim_files(out, "train", OWN)
    (out / METRICS).unlink(missing_ok=True)  # without it a run is unfinished
    if checkpoint(options.run.ckpt_path, out) is None:
        (out / MODEL).unlink(missing_ok=True)
        for logs in [*out.glob("logs/version_*"), out / "logs" / "tensorboard"]:
            shutil.rmtree(logs, ignore_errors=True)
    write_text(out / CONFIG, f"{INPUTS}{inputs(options.data)}\n{options.text}")


def inputs(data: DataOptions) -> str:
    """A hash of what the options of the data name: patches, slides.csv, split and hard list."""
    from histocnn.patches.patches import open_patches  # its readers: half of --help's time

    sources = open_patches(
        data.patches, slides=data.slides, patient_pattern=data.patient_pattern,
        allow_shared_patient=data.allow_shared_patient,
    )  # fmt: skip
    files = [p for p in (data.slides, data.split_file, data.hard) if p and p.is_file()]
    described = [[s.name, s.describe()] for s in sources], [sha256(p) for p in files]
    return hashlib.sha256(to_json(described).encode()).hexdigest()[:16]


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
        raise TrainingError(f"{asked}: no such checkpoint", "Give a file, or --ckpt_path last.")
    return Path(asked)


def curves(logs: Path) -> Curves:
    """Every epoch's measures of all (resumed) runs in a folder of CSV logs; the later run wins."""
    measures: defaultdict[str, dict[int, float]] = defaultdict(dict)
    files = logs.glob("version_*/metrics.csv")
    for file in sorted(files, key=lambda f: int(f.parent.name.removeprefix("version_"))):
        with file.open(newline="") as lines:
            for row in csv.DictReader(lines):
                for name, value in row.items():
                    if value and re.match("(train|val)_", name):
                        measures[name][int(row["epoch"])] = float(value)
    order = sorted(measures, key=lambda name: (name.partition("_")[2] != "loss", name))
    return {name: sorted(measures[name].items()) for name in order}


def _stored(config: Path) -> str:
    """The configuration that a run left.

    Raises:
        TrainingError: It is none any more.
    """
    remedy = "Give another --out, or --overwrite to train in its place."
    try:
        text = read_text(config)
        if isinstance(load_yaml(text, str(config)), Mapping):
            return text
    except UsageError as error:
        raise TrainingError(error.message, remedy) from error
    raise TrainingError(f"{config}: holds no options", remedy)


def _differing(stored: str, now: str) -> list[str]:
    """The keys whose values differ; one that a text lacks has its default there."""
    before, after = (dict(_flat(load_yaml(text, CONFIG))) for text in (stored, now))
    sparse = stored.startswith("# pytorch_lightning")  # version 0.1.0 left out what was none

    def absent(key: str, *, old: bool) -> Any:
        return None if old and sparse and not key.startswith("trainer.") else _default(key)

    result = []
    for key in sorted((before.keys() | after.keys()) - ASIDE):
        was = before[key] if key in before else absent(key, old=True)
        is_ = after[key] if key in after else absent(key, old=False)
        chosen = key == "trainer.precision" and None in (was, is_)  # by the hardware
        if was != is_ and not chosen:
            result.append(key)
    return result


def _flat(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in ((str(key), value) for key, value in options.items()):
        if key in SECTIONS and isinstance(value, Mapping):
            yield from ((f"{key}.{name}", item) for name, item in value.items())
        else:
            yield key, value


def _default(key: str) -> Any:
    section, _, name = key.partition(".")
    ours = {f.name: f.default for f in fields(SECTIONS[section])} if section in SECTIONS else {}
    if name in ours:
        return None if ours[name] is MISSING else ours[name]
    if name in DEFAULTS:
        return DEFAULTS[name]
    if section != "trainer":
        return None
    from pytorch_lightning import Trainer

    parameter = inspect.signature(Trainer).parameters.get(name)
    return None if parameter is None else parameter.default
