"""What came of the trials: their table, the best, the spread over folds, what mattered."""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from histocnn.errors import TrainingError
from histocnn.searching.journal import Study
from histocnn.storage.json import to_json

FEWEST = 4  # finished trials from which an importance says anything


@dataclass(frozen=True)
class Row:
    """One trial.

    Attributes:
        number: In the order of the study.
        state: complete, pruned, failed, lost (begun again as another), running, waiting.
        value: The metric's mean over the folds; None where it did not come to an end.
        folds: The metric on each.
        values: Of the keys that were searched.
        reason: Why it failed or was pruned.
        seconds: It took.
        epochs: The epoch chosen in each fold, from 0.
        host: Where it ran.
        pid: In which process.
    """

    number: int
    state: str
    value: float | None
    folds: tuple[float, ...]
    values: Mapping[str, Any]
    reason: str = ""
    seconds: float | None = None
    epochs: tuple[int, ...] = ()
    host: str = ""
    pid: int | None = None

    @property
    def sem(self) -> float | None:
        """The standard error of the mean over the folds; None of fewer than two."""
        if len(self.folds) < 2:
            return None
        return float(np.std(self.folds, ddof=1) / np.sqrt(len(self.folds)))


def rows_of(study: Study) -> list[Row]:
    """Every trial, by number; those that two processes put back at once only once."""
    return [_row(t) for t in study.trials() if not t.user_attrs.get("surplus")]


def _row(trial: FrozenTrial) -> Row:
    told, who = trial.user_attrs, trial.user_attrs.get("who", {})
    state = trial.state.name.lower().replace("fail", "failed")
    ended = trial.state == TrialState.COMPLETE
    return Row(
        number=trial.number,
        state="lost" if told.get("lost") else state,
        value=float(trial.values[0]) if ended and trial.values else None,
        folds=tuple(told.get("folds", ())),
        values=json.loads(told["values"]) if "values" in told else {},
        reason=str(told.get("reason", "")),
        seconds=told.get("seconds"),
        epochs=tuple(told.get("epochs", ())),
        host=str(who.get("host", "")),
        pid=who.get("pid"),
    )


def best_of(rows: Sequence[Row], *, maximize: bool) -> Row:
    """The best of the trials that came to an end, the first of equals.

    Raises:
        TrainingError: None did; says how many came to what, and why.
    """
    ended = [row for row in rows if row.value is not None]
    if not ended:
        reasons = Counter(row.reason for row in rows if row.state == "failed")
        often = "; ".join(f"{count} × {reason}" for reason, count in reasons.most_common(3))
        raise TrainingError(
            f"no trial came to an end, of {len(rows)} ({counted(rows)}): {often or 'no reason'}",
            "Look at trials/*/log.txt, then at the space.",
        )
    sign = -1 if maximize else 1
    return min(ended, key=lambda row: (sign * (row.value or 0.0), row.number))


def counted(rows: Sequence[Row]) -> str:
    """How many trials came to what, in words.

    >>> counted([Row(0, "complete", 0.5, (), {}), Row(1, "failed", None, (), {})])
    '1 complete, 1 failed'
    """
    return ", ".join(f"{n} {state}" for state, n in Counter(row.state for row in rows).items())


def within_noise(rows: Sequence[Row], best: Row, *, maximize: bool) -> list[Row]:
    """The other trials that are worse than the best by less than a standard error.

    The error is that of the mean of the paired differences, fold by fold, from the best: what all
    configurations find hard in a fold is no difference between them.

    Args:
        rows: All trials.
        best: One of them.
        maximize: Whether more is better.

    >>> rows = [Row(0, "complete", 0.8, (0.7, 0.9), {}), Row(1, "complete", 0.79, (0.72, 0.86), {}),
    ...         Row(2, "complete", 0.6, (0.5, 0.7), {})]
    >>> [row.number for row in within_noise(rows, rows[0], maximize=True)]
    [1]
    """
    near = []
    for row in rows:
        if row is best or row.value is None or len(row.folds) < 2:
            continue
        gaps = np.subtract(best.folds, row.folds) * (1 if maximize else -1)
        if gaps.mean() <= np.std(gaps, ddof=1) / np.sqrt(len(gaps)):
            near.append(row)
    return near


def table(rows: Sequence[Row], keys: Sequence[str], folds: int) -> str:
    """The text of trials.csv: a line per trial."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    own = [f"fold_{i}" for i in range(folds)]
    lines.writerow(
        [
            "trial",
            "state",
            "value",
            "sem",
            *own,
            *keys,
            "epochs",
            "seconds",
            "host",
            "pid",
            "reason",
        ]
    )
    for row in rows:
        figures = [*row.folds, *[None] * (folds - len(row.folds))]
        chosen = [_cell(row.values[key]) if key in row.values else "" for key in keys]
        epochs = " ".join(map(str, row.epochs))
        seconds = None if row.seconds is None else round(row.seconds, 1)
        lines.writerow(
            [row.number, row.state, row.value, row.sem, *figures, *chosen, epochs, seconds,
             row.host, row.pid, row.reason]
        )  # fmt: skip
    return text.getvalue()


def _cell(value: Any) -> Any:
    return value if isinstance(value, int | float | str) else to_json(value)


def importance(study: Study) -> dict[str, float]:
    """The share of the metric's variance that each key explains, the largest first; {}: unknown.

    By functional ANOVA of a random forest (Hutter et al., ICML 2014), as Optuna has it, over the
    keys that every finished trial has.
    """
    ended = study.trials(TrialState.COMPLETE)
    values = {trial.values[0] for trial in ended if trial.values}
    if len(ended) < FEWEST or len(values) < 2:
        return {}
    common = set.intersection(*(set(trial.params) for trial in ended))
    varied = [key for key in common if len({str(t.params[key]) for t in ended}) > 1]
    if not varied:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(
            study.study,
            evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0),
            params=sorted(varied),
        )
    return {key: float(value) for key, value in found.items()}
