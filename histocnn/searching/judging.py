"""What a trial comes to, whatever judges it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

FOLD_STEPS = 1000  # a report's step: fold × this + epoch


@dataclass(frozen=True)
class Judged:
    """A trial that came to its end.

    Attributes:
        folds: The metric on each fold's validation patients.
        epochs: The epoch that training chose in each fold, from 0; empty of features.
    """

    folds: Sequence[float]
    epochs: Sequence[int] = ()

    @property
    def value(self) -> float:
        """The mean over the folds.

        >>> Judged([0.5, 1.0]).value
        0.75
        """
        return sum(self.folds) / len(self.folds)


class TrialFailedError(Exception):
    """A trial that came to nothing; its text is the reason, and the search goes on."""


class TrialPrunedError(Exception):
    """A trial that was stopped because it is hopeless."""


class TimeIsUpError(Exception):
    """A trial that was under way when the time was over."""


# step (fold × FOLD_STEPS + epoch), the mean so far → whether the trial is hopeless
Report = Callable[[int, float], bool]
Values = dict[str, Any]
