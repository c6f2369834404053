"""The end of a search: the best as a configuration, and its one look at the test patients."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from histocnn.errors import MetricError, TrainingError
from histocnn.metrics.multiplicity import PRIMARY
from histocnn.metrics.patch import Groups, comparison, patch_report
from histocnn.metrics.report import Report
from histocnn.metrics.sections import ComparisonReport, Figure, PatchReport
from histocnn.searching.feature_trial import on_test
from histocnn.searching.folds import REFIT, SPLIT
from histocnn.searching.journal_file import STALE_S, Touching
from histocnn.searching.plan import Plan
from histocnn.searching.results import Row
from histocnn.storage.atomic import host, is_alive, write_text

BEST, DEFAULT = "best", "default"
Compare = Callable[[Path, Path], ComparisonReport]


@dataclass(frozen=True)
class Tested:
    """Best and default on the test patients.

    Attributes:
        best: Figures of the best configuration.
        default: Of the configuration's own values.
        gaps: Best minus default, paired by patient.
    """

    best: PatchReport
    default: PatchReport
    gaps: ComparisonReport

    def figure(self, metric: str, of: PatchReport) -> Figure | None:
        """One configuration's figure by the name that a search gives it; None: no such."""
        name, _, of_class = metric.partition(":")
        return (of.per_class.get(of_class, {}) if of_class else of.figures).get(name)


def configuration(plan: Plan, out: Path, name: str, values: Mapping[str, Any]) -> str:
    """The YAML of a configuration that `train --config` (of features: probe or knn) takes."""
    if plan.of_features:
        options = plan.features(values)
        folder = str(options.sets[options.use])
        own = {"c": options.c, "colour": options.colour}
        if options.method == "knn":
            own = {key: getattr(options, key) for key in ("k", "metric", "weights", "center")}
        told = {"reference": folder, "query": folder, "out": str(out / f"{name}_scores"), **own}
        return f"# histocnn {options.method} --config {name}.yaml\n{_yaml(told)}"
    split = REFIT if plan.search.refit else SPLIT
    fixed = {"data.split_file": str(out / split), "data.calibration": None, "out": str(out / name)}
    return f"# histocnn train --config {name}.yaml\n{plan.training({**values, **fixed}).text}"


def _yaml(told: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(told), sort_keys=False, allow_unicode=True))


def write_configurations(plan: Plan, out: Path, best: Row) -> None:
    """Write OUT/best.yaml and OUT/default.yaml."""
    for name, values in ((BEST, best.values), (DEFAULT, {})):
        write_text(out / f"{name}.yaml", configuration(plan, out, name, values))


def tested(plan: Plan, out: Path, best: Row, compare: Compare) -> Tested:
    """Train best and default to their ends and judge both on the test patients, once.

    Args:
        plan: The search.
        out: Its folder, with both configurations.
        best: The best trial.
        compare: Compares the scores in two folders, or files.

    Raises:
        TrainingError: A training failed; says where.
        HistocnnError: As `evaluation.comparison.compare`.
    """
    if plan.of_features:
        return _features_tested(plan, out, best)
    for name in (BEST, DEFAULT):
        _train(out, name)
    reports = [
        Report.from_json((out / name / "metrics.json").read_text(encoding="utf-8")).patch
        for name in (BEST, DEFAULT)
    ]
    places = [out / name / "scores" for name in (BEST, DEFAULT)]
    places = [p if p.is_dir() else p.with_name("scores.h5") for p in places]
    return Tested(reports[0], reports[1], compare(places[0], places[1]))


def _train(out: Path, name: str) -> None:
    """Train in a process of its own; what is trained already is not trained again."""
    log = out / f"{name}.log"
    words = ["train", "--config", str(out / f"{name}.yaml"), "--trainer.enable_progress_bar=false"]
    with log.open("wb") as told:
        command = [sys.executable, "-m", "histocnn.cli", *words]
        done = subprocess.run(command, stdout=told, stderr=told, check=False)  # noqa: S603
    if done.returncode:
        said = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
        raise TrainingError(
            f"{out / name}: the {name} configuration could not be trained ({said[:300]})",
            "The same command tries it again.",
        )


def _features_tested(plan: Plan, out: Path, best: Row) -> Tested:
    refit = plan.search.refit
    own, usual = (on_test(out, plan.features(v), refit=refit) for v in (best.values, {}))
    if own.class_names != usual.class_names:
        raise MetricError("best and default know other classes", "Embed the same patches.")
    place = {key: row for row, key in enumerate(usual.keys)}
    twin = np.array([place.get(key, -1) for key in own.keys], np.int64)
    shared = twin >= 0
    groups = Groups(own.groups.of_patch[shared], own.groups.unit)
    pair = own.scores[shared], usual.scores[twin[shared]]
    labels, names = own.labels[shared], own.class_names
    return Tested(
        patch_report(own.scores, own.labels, names, own.groups),
        patch_report(usual.scores, usual.labels, names, usual.groups),
        comparison(pair, labels, names, groups, (BEST, DEFAULT)),
    )


def primary(plan: Plan, gaps: ComparisonReport) -> str:
    """The figure of the paired test: the search's own, where it is compared."""
    return plan.search.metric if plan.search.metric in gaps.figures else PRIMARY


@contextlib.contextmanager
def alone(out: Path) -> Iterator[bool]:
    """Whether this process may conclude the search; others that live are let."""
    path = out / "concluding.json"
    mine = _claim(path)
    if not mine:
        yield False
        return
    try:
        with Touching(path):
            yield True
    finally:
        path.unlink(missing_ok=True)


def _claim(path: Path) -> bool:
    told = json.dumps({"host": host(), "pid": os.getpid()})
    for _ in range(2):
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(told)
            return True
        except FileExistsError:
            try:
                who = json.loads(path.read_text(encoding="utf-8"))
                gone = who["host"] == host() and not is_alive(int(who["pid"]))
            except (OSError, ValueError, KeyError):
                gone = False
            if not gone and time.time() - path.stat().st_mtime < STALE_S:
                return False
            path.unlink(missing_ok=True)
    return False
