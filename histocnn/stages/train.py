"""`histocnn train`: labelled patches in, a trained network and its figures out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from histocnn.jobs.result import StageResult
from histocnn.models.parsing import as_words, parse
from histocnn.models.run_folder import METRICS, MODEL, curves, is_finished
from histocnn.pictures.training import write_confusion, write_history

COMPARED = ("accuracy", "balanced_accuracy", "macro_auroc")  # in the printed summary
LEFT = (MODEL, METRICS, "config.yaml", "split.csv", "history.png", "confusion.png")


@dataclass(frozen=True)
class TrainResult(StageResult):
    """What a training run left.

    Attributes:
        report: Of the test split, as `metrics.json` has it; empty after a trial.
    """

    report: Mapping[str, Any] = field(default_factory=dict)


def train(words: Sequence[str] = (), /, **options: Any) -> TrainResult:
    """Train or fine-tune a network on labelled patches.

    Args:
        words: Those of the command line, as `histocnn train --help` explains them.
        options: The same by name: `config`, `out`, `ckpt_path` …; `data`, `model`, `trainer` and
            `early_stopping` as dicts or as the dataclasses of `models.options`.

    Returns:
        The files and the test split's report. What is trained already is not trained again.

    Raises:
        HistocnnError: What cannot be trained, and why.
    """
    settings = parse([*words, *as_words(options)])
    out = settings.run.out
    if is_finished(settings):
        print(f"{out}: trained already by this configuration; --overwrite trains again")
        return _result(out)
    from histocnn.models import training  # loads torch and Lightning: the options are in order now

    trained = training.train(settings)
    if trained is None:
        return TrainResult()
    metrics, network = trained.metrics, trained.metrics["network"]
    write_history(out / "history.png", curves(out / "logs"), metrics["best_epoch"])
    title = f"test, accuracy {network['accuracy']:.3f}"
    write_confusion(out / "confusion.png", network["confusion"], trained.class_names, title)
    print(summary(out, metrics))
    return _result(out)


def _result(out: Path) -> TrainResult:
    files = [out / name for name in (*LEFT, "scores.h5")] + sorted(out.glob("scores/*.h5"))
    report = json.loads((out / METRICS).read_text(encoding="utf-8"))
    return TrainResult(outputs=[path for path in files if path.is_file()], report=report)


def summary(out: Path, metrics: Mapping[str, Any]) -> str:
    """The test split in two lines: the network, and colour alone beside it."""
    lines = [f"{out}: test split{' (' + metrics['title'] + ')' if metrics['title'] else ''}"]
    for name in ("network", "colour_only"):
        figures = metrics[name]
        values = []
        for key in COMPARED:
            if figures.get(key) is not None:
                low, high = figures["interval_95"].get(key, (None, None))
                interval = "" if low is None else f" [{low:.3f}, {high:.3f}]"
                values.append(f"{key} {figures[key]:.3f}{interval}")
        lines.append(f"  {name.replace('_', ' '):<12}" + "  ".join(values))
    return "\n".join(lines)
