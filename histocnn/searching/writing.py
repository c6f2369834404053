"""What a search leaves: trials.csv, the pictures, the page, and the words about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histocnn.metrics.plain import to_text
from histocnn.metrics.sections import Figure
from histocnn.pages.search_page import Told, write_search_page
from histocnn.searching.conclusion import Tested
from histocnn.searching.journal import Study
from histocnn.searching.plan import Plan
from histocnn.searching.results import Row, counted, importance, table, within_noise
from histocnn.storage.atomic import write_text

TABLE, RESULT, PAGE, PICTURES = "trials.csv", "result.json", "search.html", "figures"
MOST_ROWS = 200  # of the page's table; trials.csv holds all
TESTED = ("macro_auroc", "macro_average_precision", "balanced_accuracy", "accuracy")


@dataclass(frozen=True)
class Result:
    """What a search came to.

    Attributes:
        metric: That was searched by.
        trial: The best one's number.
        values: Its values of the keys that were searched.
        validation: Its mean over the folds.
        folds: Its figure on each.
        near: Trials that are not shown to be worse.
        best: Its figure on the test patients; None where it is none of theirs.
        default: The configuration's own.
        difference: Best minus default, paired by patient.
        p: Two-sided, of no difference.
    """

    metric: str
    trial: int
    values: Mapping[str, Any]
    validation: float
    folds: tuple[float, ...]
    near: tuple[int, ...] = ()
    best: Figure | None = None
    default: Figure | None = None
    difference: Figure | None = None
    p: float | None = None


def result_of(plan: Plan, rows: Sequence[Row], best: Row, tested: Tested | None) -> Result:
    """Gather what a search came to."""
    metric = plan.search.metric
    near = within_noise(rows, best, maximize=plan.maximize)
    found = Result(
        metric, best.number, dict(best.values), best.value or 0.0, best.folds,
        tuple(row.number for row in near),
    )  # fmt: skip
    if tested is None:
        return found
    gap = tested.gaps.figures.get(metric)
    return Result(
        found.metric, found.trial, found.values, found.validation, found.folds, found.near,
        tested.figure(metric, tested.best), tested.figure(metric, tested.default),
        gap.change if gap else None, gap.p if gap else None,
    )  # fmt: skip


def words(result: Result, rows: Sequence[Row], keys: Sequence[str]) -> list[str]:
    """What came of it, a line each."""
    values = ", ".join(f"{k} = {_said(v)}" for k, v in result.values.items() if k in keys)
    lines = [
        f"{len(rows)} trials: {counted(rows)}.",
        f"Best on validation: trial {result.trial} with {values}: {result.metric} "
        f"{result.validation:.3f}{_folds(result.folds)}.",
    ]
    if len(result.folds) > 1:
        near = len(result.near)
        others = f"{near} other trial{' is' if near == 1 else 's are'}"
        lines.append(
            f"{others} within a standard error of it, fold by fold: between these the search has "
            "not decided." if near else "No other trial is within a standard error of it."
        )  # fmt: skip
    if result.best is not None:
        lines.append(f"On test, looked at once: {result.best}; the default's: {result.default}.")
        if result.best.value is not None:
            lines.append(
                f"Validation minus test: {result.validation - result.best.value:+.3f}, the "
                "optimism of having chosen on validation, and chance."
            )
    if result.difference is not None:
        p = "" if result.p is None else f", p = {result.p:.3f}"
        lines.append(f"Best minus default on test, paired by patient: {result.difference}{p}.")
    return lines


def _said(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _folds(folds: Sequence[float]) -> str:
    said = ", ".join(f"{value:.3f}" for value in folds)
    return f" (folds {said})" if len(folds) > 1 else ""


def write(study: Study, rows: Sequence[Row], result: Result, tested: Tested | None) -> list[Path]:
    """Write everything of OUT but the configurations.

    Returns:
        The files.

    Raises:
        StoreError: One cannot be written.
    """
    plan, out = study.plan, study.out
    keys = [parameter.key for parameter in plan.space]
    write_text(out / TABLE, table(rows, keys, plan.search.folds))
    _draw(study, rows, keys)
    best = (out / "best.yaml").read_text(encoding="utf-8")
    told = Told(
        result.metric, words(result, rows, keys), _remarks(plan, rows), _trials(rows, keys),
        _tested(tested), best,
    )  # fmt: skip
    write_search_page(out / PAGE, told, out / PICTURES)
    write_text(out / RESULT, to_text(result))
    return [out / name for name in (RESULT, TABLE, PAGE)]


def _draw(study: Study, rows: Sequence[Row], keys: Sequence[str]) -> None:
    """Draw OUT/figures/."""
    from histocnn.pictures import trials as pictures  # matplotlib: half of --help's time
    from histocnn.pictures.curves import save

    plan, folder = study.plan, study.out / PICTURES
    ended = [
        pictures.Tried(row.number, row.value, row.folds, row.values)
        for row in rows
        if row.value is not None
    ]
    stopped = [row.number for row in rows if row.state in ("failed", "pruned", "lost")]
    metric, maximize = plan.search.metric, plan.maximize
    used = [key for key in keys if any(key in trial.values for trial in ended)]
    drawn = {
        "history": pictures.history(ended, stopped, metric, maximize),
        "parallel": pictures.parallel(ended, used, metric, maximize),
        "slices": pictures.slices(ended, used, metric),
    }
    if plan.search.folds > 1:
        drawn["spread"] = pictures.spread(ended, metric, maximize)
    if shares := importance(study):
        drawn["importance"] = pictures.importance(shares)
    for name, picture in drawn.items():
        save(picture, folder, name)


def _remarks(plan: Plan, rows: Sequence[Row]) -> list[str]:
    """What must be known before a figure is believed."""
    said = []
    if plan.search.folds == 1:
        said.append("One fold: nothing says how far figures vary between patients.")
    waiting = sum(row.state == "waiting" for row in rows)
    if waiting:
        said.append(f"{waiting} trials were not begun: the time was up.")
    failed = [row for row in rows if row.state == "failed"]
    said += [f"Trial {row.number} failed: {row.reason}" for row in failed[:5]]
    if len(failed) > 5:
        said.append(f"{len(failed) - 5} more trials failed: see trials.csv.")
    return said


def _trials(rows: Sequence[Row], keys: Sequence[str]) -> tuple[list[str], list[list[Any]]]:
    header = ["trial", "state", "value", "± s.e.", *keys, "seconds"]
    lines = []
    for row in rows[:MOST_ROWS]:
        own = [_said(row.values[key]) if key in row.values else "" for key in keys]
        seconds = None if row.seconds is None else round(row.seconds)
        lines.append([row.number, row.state, row.value, row.sem, *own, seconds])
    return header, lines


def _tested(tested: Tested | None) -> tuple[list[str], list[list[Any]]] | None:
    if tested is None:
        return None
    lines = []
    for name in TESTED:
        gap = tested.gaps.figures.get(name)
        change = "" if gap is None else f"{gap.change}{'' if gap.p is None else f', p {gap.p:.3f}'}"
        own = [str(of.figures.get(name)) for of in (tested.best, tested.default)]
        lines.append([name.replace("_", " "), *own, change])
    return ["figure", "best", "default", "difference"], lines
