"""The study on disk: one file that several processes and machines append to, and who works on what.

Optuna's journal has no heartbeat. Each trial therefore notes its host, its process and a file that
it touches; a trial whose process is gone is failed and waits again, with the same values, for the
next one that is free.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from histocnn.errors import StoreError, UsageError
from histocnn.searching.journal_file import STALE_S, WholeLines
from histocnn.searching.plan import Plan
from histocnn.storage.atomic import host, is_alive, temporary_beside, write_error
from histocnn.storage.json import differing_keys, to_json

NAME = "histocnn"
JOURNAL = "journal.log"
TRIES = 3  # a trial that ends its process so often is not begun again
T = TypeVar("T")


@dataclass(eq=False)
class Study:
    """A study that is open.

    Attributes:
        plan: What is asked.
        out: The search's folder.
        storage: The journal.
        study: Optuna's.
    """

    plan: Plan
    out: Path
    storage: JournalStorage
    study: optuna.Study
    _number: int = field(init=False)

    def __post_init__(self) -> None:
        self._number = self.storage.get_study_id_from_name(NAME)

    @property
    def journal(self) -> Path:
        """The file."""
        return self.out / JOURNAL

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Those in these states (all if none), by number."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def folder(self, number: int) -> Path:
        """A trial's own."""
        return self.out / "trials" / f"{number:05d}"

    def take(self) -> Trial | None:
        """The next trial that waits, now this process's own; None where none does."""
        for waiting in self.trials(TrialState.WAITING):
            key = self._id(waiting.number)
            if self._is_surplus(waiting):
                self._end(key, surplus=True)
                continue
            self.study.sampler = sampler(self.plan, waiting.number)
            with contextlib.suppress(RuntimeError):  # somebody ended it just now
                if self.storage.set_trial_state_values(key, TrialState.RUNNING):
                    with _quiet():
                        trial = Trial(self.study, key)
                    trial.set_user_attr("who", {"host": host(), "pid": os.getpid()})
                    return trial
        return None

    def _is_surplus(self, trial: FrozenTrial) -> bool:
        """Whether two processes have put the same lost trial back, and this is the second."""
        after = trial.user_attrs.get("after")
        same = [t.number for t in self.trials() if t.user_attrs.get("after") == after]
        return after is not None and min(same) < trial.number

    def revive(self) -> list[int]:
        """Fail the trials whose process is gone, and let them wait again.

        Returns:
            Their numbers.
        """
        lost = [trial for trial in self.trials(TrialState.RUNNING) if self._is_lost(trial)]
        for trial in lost:
            who = trial.user_attrs.get("who", {})
            self.put_back(trial, f"its process is gone ({who.get('host')}, {who.get('pid')})")
        return [trial.number for trial in lost]

    def put_back(self, trial: FrozenTrial, reason: str) -> None:
        """Let a trial's values wait again, then fail it: in this order none is lost."""
        tries = int(trial.user_attrs.get("tries", 1))
        attributes = {"reason": reason}
        if tries < TRIES:
            told = {"after": trial.number, "tries": tries + 1}
            self.study.enqueue_trial(dict(trial.params) or _asked(trial), user_attrs=told)
            attributes["lost"] = "true"
        self._end(self._id(trial.number), **attributes)

    def _end(self, key: int, **attributes: Any) -> None:
        with contextlib.suppress(RuntimeError):  # another process has ended it
            for name, value in attributes.items():
                self.storage.set_trial_user_attr(key, name, value)
            self.storage.set_trial_state_values(key, TrialState.FAIL)

    def finish(
        self, trial: Trial, state: TrialState, value: float | None = None, **told: Any
    ) -> bool:
        """End this process's own trial; False where another has taken it for lost."""
        key = self._id(trial.number)
        try:
            for name, one in told.items():
                self.storage.set_trial_user_attr(key, name, one)
            values = None if value is None else [value]
            self.storage.set_trial_state_values(key, state, values)
        except RuntimeError:
            return False
        return True

    def _is_lost(self, trial: FrozenTrial) -> bool:
        who = trial.user_attrs.get("who")
        if isinstance(who, dict) and who.get("host") == host() and not is_alive(int(who["pid"])):
            return True
        began = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        with contextlib.suppress(OSError):
            began = max(began, (self.folder(trial.number) / "alive").stat().st_mtime)
        return time.time() - began > STALE_S

    def _id(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self._number, number)


def _asked(trial: FrozenTrial) -> dict[str, Any]:
    """The values that were fixed before the trial began."""
    return dict(trial.system_attrs.get("fixed_params", {}))


def sampler(plan: Plan, number: int) -> optuna.samplers.BaseSampler:
    """What draws a trial's values: by seed and number, whichever process asks."""
    state = np.random.SeedSequence((plan.search.seed, number)).generate_state(1)
    seed = int(state[0])
    if plan.search.sampler != "tpe":
        return optuna.samplers.RandomSampler(seed)
    with _quiet():
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's words on what it calls experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def open_study(plan: Plan, out: Path, before: Callable[[], None]) -> Study:
    """Open the study of a folder, and make it first where there is none.

    Args:
        plan: What is asked.
        out: The search's folder.
        before: Writes what trials need, before there is a study.

    Raises:
        UsageError: The folder holds a study of another search; says what differs.
        StoreError: The journal cannot be read or written.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = out.absolute() / JOURNAL
    if not path.exists():
        before()
        guarded(path, lambda: _make(plan, path))
    return guarded(path, lambda: _opened(plan, out, path))


def _opened(plan: Plan, out: Path, path: Path) -> Study:
    storage = JournalStorage(WholeLines(path))
    with _quiet():
        study = optuna.load_study(study_name=NAME, storage=storage, pruner=_pruner(plan))
    asked = _plain(plan.described())
    differing = differing_keys(study.user_attrs.get("asked", {}), asked)
    if differing:
        raise UsageError(
            f"{out}: holds a search of another space ({', '.join(differing)})",
            "Give another --out, or the configuration that it was begun with.",
        )
    return Study(plan, out, storage, study)


def _make(plan: Plan, path: Path) -> None:
    """Write a whole study with all its trials waiting, beside its place; the first one takes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = temporary_beside(path)
    try:
        storage = JournalStorage(WholeLines(beside))
        study = optuna.create_study(
            study_name=NAME,
            storage=storage,
            direction="maximize" if plan.maximize else "minimize",
        )
        study.set_user_attr("asked", _plain(plan.described()))
        for values in plan.fixed or [{}] * plan.trials:
            study.enqueue_trial(values)
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _pruner(plan: Plan) -> optuna.pruners.BasePruner:
    if not plan.search.prune:
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_warmup_steps=plan.search.prune_after)


def _plain(described: dict[str, Any]) -> dict[str, Any]:
    """As JSON holds it: texts of what is no number, text, list or table."""
    found: dict[str, Any] = json.loads(to_json(described))
    return found


def guarded(path: Path, work: Callable[[], T]) -> T:
    """Do what reads and writes a journal, its errors in our words.

    Raises:
        StoreError: The disk is full, the journal cannot be written or is none.
    """
    try:
        return work()
    except OSError as error:
        raise write_error(path, error) from error
    except (KeyError, ValueError, AssertionError, TypeError) as error:
        raise StoreError(
            f"{path}: is no journal of a search, or is damaged ({type(error).__name__})",
            "Give another --out, or put the journal back.",
        ) from error
