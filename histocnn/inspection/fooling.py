"""What fools a network and what notices: tissue attacked and changed, noise, ascent, and things.

Everything is compared with patches as they are, of patients that no detector learnt from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from histocnn.errors import ModelError
from histocnn.inspection.bench import Bench, bench_of
from histocnn.inspection.drawing import Division, against, candidates, divide
from histocnn.inspection.fool_report import Exhibit, FoolReport, Options, Trial
from histocnn.inspection.noticing import Shown, figures
from histocnn.inspection.on_pixels import OnPixels, Response
from histocnn.inspection.trials import Made, everything
from histocnn.metrics.patch import Groups
from histocnn.models.device import Engine
from histocnn.models.spec import load
from histocnn.patches.classes import UNKNOWN
from histocnn.patches.patches import Patches

PICTURES = 6  # of each trial, for the page


def fool_model(
    model: Path,
    patches: Sequence[Patches],
    options: Options,
    engine: Engine,
    *,
    reference: Sequence[Patches] | None = None,
    things: Path | None = None,
    backbone: str | None = None,
) -> tuple[FoolReport, dict[str, Exhibit]]:
    """Try everything on a model file, as `histocnn fool` does.

    Args:
        model: The file.
        patches: What is judged, and without a reference half of it learnt from.
        options: How much is tried.
        engine: On what it runs.
        reference: What the detectors learn from.
        things: Folder of image files that show no tissue.
        backbone: Of a model of somebody's own network, its name once more.

    Returns:
        All figures, and by each trial's name some of its pictures.

    Raises:
        ModelError: A model without two classes; patches of another scale than the model's.
        PatchesError: Too few patches, or none that can be read.
    """
    network, spec = load(model, engine.place(), backbone)
    if len(spec.class_names) < 2:
        known = ", ".join(spec.class_names) or "none"
        raise ModelError(
            f"{model}: has the classes {known}, and is as certain of every picture",
            "Give a model of two classes or more.",
        )
    found = candidates(patches, spec)
    if reference is None:
        division = divide(found, spec, options.seed)
    else:
        division = against(found, candidates(reference, spec))
    bench = bench_of(
        OnPixels(network, spec, options.layers or spec.layers),
        division,
        options,
        things=things,
        batch_size=engine.batch_size,
        threads=engine.threads,
    )
    return fool_network(bench, division, model.name, lambda trial: print(_line(trial), flush=True))


def rows_of(report: FoolReport) -> list[Mapping[str, Any]]:
    """A row per trial for a table: its name, how many pictures, and every figure's value."""
    return [
        {"kind": trial.kind, "name": trial.name, "n": trial.n}
        | {name: figure.value for name, figure in trial.figures.items()}
        for trial in report.trials
    ]


def _line(trial: Trial) -> str:
    said = {name: trial.figures[name].value for name in ("accuracy", "confidence", "auroc_distance")
            if name in trial.figures}  # fmt: skip
    shown = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in said.items()
                      if value is not None)  # fmt: skip
    return f"  {trial.name:<42} {shown}"


def fool_network(
    bench: Bench,
    division: Division,
    model: str,
    tell: Callable[[Trial], None] = lambda trial: None,
) -> tuple[FoolReport, dict[str, Exhibit]]:
    """Try everything.

    Args:
        bench: What it is tried with.
        division: What was judged, and what the detectors learnt from.
        model: The model's name.
        tell: Called with each trial when it is done.

    Returns:
        All figures, and by each trial's name some of its pictures.
    """
    spec, owned = bench.network.spec, bench.found.owners
    groups = Groups(owned.of_row, owned.unit, seed=bench.options.seed)
    tissue, response = bench.shown(bench.patches, derived=True)
    trials, exhibits = [], {}

    def judge(made: Made, shown: Shown, response: Response) -> None:
        found, interval = figures(shown, tissue, groups)
        novelty = bench.detectors.percentile(response)
        count = np.bincount(response.called, minlength=len(spec.class_names))
        called = dict(zip(spec.class_names, count.tolist(), strict=True))
        trials.append(
            Trial(made.kind, made.name, len(shown), found, interval, called,
                  float(np.median(novelty)), made.epsilon)
        )  # fmt: skip
        rows = np.unique(np.linspace(0, len(shown) - 1, PICTURES).astype(int))
        exhibits[made.name] = Exhibit(
            made.pixels[rows], [spec.class_names[c] for c in response.called[rows]],
            shown.confidence[rows].tolist(), novelty[rows].tolist(),
        )  # fmt: skip
        tell(trials[-1])

    judge(Made("tissue", "tissue as it is", bench.patches), tissue, response)
    for made in everything(bench):
        judge(made, *bench.shown(made.pixels, derived=made.derived))
    return FoolReport(
        model, spec.backbone, spec.class_names,
        "labels" if (bench.found.labels != UNKNOWN).any() else "agreement",
        len(bench.found), bench.detectors.learnt_from, division.said, division.apart,
        spec.temperature, bench.detectors.neighbours, tuple(trials), tuple(bench.notes),
        bench.options,
    ), exhibits  # fmt: skip
