"""The space of a search: keys with their values and conditions, and how a trial draws them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from histocnn.errors import UsageError
from histocnn.storage.json import to_json

LARGEST_GRID = 10_000
Values = dict[str, Any]


class Trial(Protocol):
    """What is asked of Optuna's trial."""

    def suggest_categorical(self, name: str, choices: Any, /) -> Any:
        """One of the choices."""
        ...

    def suggest_int(
        self, name: str, low: int, high: int, /, *, step: int = 1, log: bool = False
    ) -> int:
        """A whole number."""
        ...

    def suggest_float(
        self, name: str, low: float, high: float, /, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number."""
        ...


@dataclass(frozen=True)
class Parameter:
    """One key of a space.

    Attributes:
        key: Of the configuration, such as `model.learning_rate`.
        choices: What it may be; empty of a range.
        low: Of a range.
        high: Of a range, itself included.
        whole: Whether a range is of whole numbers.
        log: Whether a range is drawn by its logarithm.
        step: Between two values of a range.
        when: Other keys, each with the values under which this one is drawn.
    """

    key: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    whole: bool = False
    log: bool = False
    step: float | None = None
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def labels(self) -> dict[Any, Any]:
        """The choices by what a study can store of them: themselves, or their text."""
        return {c if is_plain(c) else to_json(c): c for c in self.choices}

    def applies(self, values: Mapping[str, Any]) -> bool:
        """Whether the key is drawn beside these values."""
        return all(
            key in values and any(same(values[key], one) for one in admitted)
            for key, admitted in self.when.items()
        )

    def points(self) -> list[Any]:
        """All values, for a grid.

        Raises:
            UsageError: A range of numbers without a step, or by its logarithm.
        """
        if self.choices:
            return list(self.choices)
        if self.log or (self.step is None and not self.whole):
            raise UsageError(
                f"search.space.{self.key}: a grid needs its values one by one",
                "Give a list, or a step.",
            )
        step = self.step or 1
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        if count > LARGEST_GRID:
            raise UsageError(
                f"search.space.{self.key}: {count:,} values make no grid", "Give a larger step."
            )
        values = [self.low + i * step for i in range(count)]
        return [int(value) for value in values] if self.whole else values

    def draw(self, trial: Trial) -> Any:
        """A value that the trial's sampler chooses."""
        if self.choices:
            labels = self.labels
            return labels[trial.suggest_categorical(self.key, list(labels))]
        if self.whole:
            step = int(self.step or 1)
            return trial.suggest_int(
                self.key, int(self.low), int(self.high), step=step, log=self.log
            )
        return trial.suggest_float(self.key, self.low, self.high, step=self.step, log=self.log)


def draw(space: Sequence[Parameter], trial: Trial) -> Values:
    """The values of a trial, by key."""
    values: Values = {}
    for parameter in space:
        if parameter.applies(values):
            values[parameter.key] = parameter.draw(trial)
    return values


def grid(space: Sequence[Parameter]) -> list[dict[str, Any]]:
    """Every combination once, as a study stores it; what does not apply is left out.

    Raises:
        UsageError: See `Parameter.points`; over 10,000 of them.

    >>> space = [Parameter("model.dropout", (0.0, 0.5)), Parameter("data.batch_size", (8, 16))]
    >>> len(grid(space)), grid(space)[1]
    (4, {'model.dropout': 0.0, 'data.batch_size': 16})
    """
    every = [parameter.points() for parameter in space]
    if math.prod(map(len, every)) > LARGEST_GRID:
        raise UsageError(f"search.space: a grid of over {LARGEST_GRID:,}", "Use sampler random.")
    found: dict[str, dict[str, Any]] = {}
    for combination in itertools.product(*every):
        values: Values = {}
        for parameter, value in zip(space, combination, strict=True):
            if parameter.applies(values):
                values[parameter.key] = value
        stored = {k: v if is_plain(v) else to_json(v) for k, v in values.items()}
        found.setdefault(to_json(stored), stored)
    return list(found.values())


def is_plain(value: Any) -> bool:
    """Whether a study stores a value as it is."""
    return value is None or isinstance(value, bool | int | float | str)


def same(one: Any, other: Any) -> bool:
    """Whether two values are one; 1 and True are not."""
    return type(one) is type(other) and bool(one == other)
