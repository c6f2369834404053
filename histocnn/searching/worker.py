"""One process's part of a search: it takes trials until none waits, or its time is up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import Trial, TrialState

from histocnn.errors import HistocnnError
from histocnn.searching.journal import Study
from histocnn.searching.journal_file import Touching
from histocnn.searching.judging import (
    Judged,
    Report,
    TimeIsUpError,
    TrialFailedError,
    TrialPrunedError,
    Values,
)
from histocnn.searching.space import draw
from histocnn.searching.training_trial import is_full
from histocnn.storage.atomic import write_error
from histocnn.storage.json import to_json

WAIT_S = 1.0  # between two looks whether others have finished
# values, the trial's folder, report, deadline
Run = Callable[[Values, Path, Report, float | None], Judged]


@dataclass(frozen=True)
class Worker:
    """What takes trials.

    Attributes:
        study: Open.
        run: Judges a trial's values.
        say: Hears a line per trial.
    """

    study: Study
    run: Run
    say: Callable[[str], None] = print

    def work(self, *, wait: bool) -> None:
        """Take trials until none waits, or the time is up.

        Args:
            wait: Stay until others' trials have ended, too, and take over what they leave.

        Raises:
            StoreError: The disk is full; what was under way waits again.
        """
        minutes = self.study.plan.search.minutes
        deadline = None if minutes is None else time.monotonic() + 60 * minutes
        try:
            self._work(deadline, wait=wait)
        except OSError as error:
            raise write_error(self.study.journal, error) from error

    def _work(self, deadline: float | None, *, wait: bool) -> None:
        while True:
            for number in self.study.revive():
                self.say(f"trial {number}: its process is gone; it waits again")
            if deadline is not None and time.monotonic() > deadline:
                return
            trial = self.study.take()
            if trial is not None:
                self._perform(trial, deadline)
            elif wait and self.study.trials(TrialState.RUNNING):
                time.sleep(WAIT_S)
            else:
                return

    def _perform(self, trial: Trial, deadline: float | None) -> None:
        """Run a trial and say in the journal what came of it."""
        folder, study = self.study.folder(trial.number), self.study
        began = time.monotonic()
        try:
            with Touching(folder / "alive"):
                values = draw(study.plan.space, trial)
                trial.set_user_attr("values", to_json(values))
                found = self.run(values, folder, _reporting(trial), deadline)
        except TrialPrunedError:
            self._end(trial, TrialState.PRUNED, began, "worse than the median so far")
        except TimeIsUpError:
            self._end(trial, TrialState.FAIL, began, "the time was up")
        except (TrialFailedError, HistocnnError) as error:
            if is_full(error):
                self._give_back(trial, str(error))
                raise
            self._end(trial, TrialState.FAIL, began, str(error))
        except BaseException:  # Ctrl-C, SIGTERM, a bug of ours: no trial is lost by it
            self._give_back(trial, "its process was ended")
            raise
        else:
            more = {"folds": list(found.folds), "epochs": list(found.epochs)}
            self._end(trial, TrialState.COMPLETE, began, "", found.value, more)

    def _end(
        self,
        trial: Trial,
        state: TrialState,
        began: float,
        reason: str,
        value: float | None = None,
        more: Values | None = None,
    ) -> None:
        told = {"seconds": time.monotonic() - began, "reason": reason, **(more or {})}
        if not self.study.finish(trial, state, value, **told):
            reason = "another process has taken it for lost"
        figure = "" if value is None else f" {self.study.plan.search.metric} {value:.4f}"
        self.say(f"trial {trial.number}: {state.name.lower()}{figure}{reason and f' ({reason})'}")

    def _give_back(self, trial: Trial, reason: str) -> None:
        """Let a trial wait again; on a full disk the next process finds it lost."""
        with contextlib.suppress(OSError):
            frozen = [t for t in self.study.trials() if t.number == trial.number]
            self.study.put_back(frozen[0], reason)


def _reporting(trial: Trial) -> Report:
    def report(step: int, value: float) -> bool:
        trial.report(value, step)
        return trial.should_prune()

    return report
