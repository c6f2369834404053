"""A trial that trains: in a process of its own, whose death costs that trial alone."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from histocnn.errors import StoreError
from histocnn.searching.folds import fold_file
from histocnn.searching.judging import (
    FOLD_STEPS,
    Judged,
    Report,
    TimeIsUpError,
    TrialFailedError,
    TrialPrunedError,
    Values,
)
from histocnn.searching.plan import Plan
from histocnn.storage.atomic import write_text

POLL_S = 0.2
REQUEST, EPOCHS, RESULT, LOG = "request.json", "epochs.jsonl", "result.json", "log.txt"
DISK_FULL = 28  # the exit code of a trial whose disk is full


def run_training(
    plan: Plan, values: Values, folder: Path, report: Report, deadline: float | None
) -> Judged:
    """Train a configuration on each fold in a process of its own.

    Args:
        plan: The search.
        values: The trial's.
        folder: The trial's, two below the search's, which holds the folds.
        report: Hears the mean over the folds so far after every epoch, and may stop the trial.
        deadline: By `time.monotonic`.

    Raises:
        TrialFailedError: Says why.
        TrialPrunedError, TimeIsUpError: As they say.
        StoreError: The disk is full.
    """
    out = folder.parent.parent
    folds = [str(fold_file(out, fold).absolute()) for fold in range(plan.search.folds)]
    request = {
        "words": plan.words(values),
        "folds": folds,
        "metric": plan.search.metric,
        "parent": os.getpid(),
    }
    for name in (EPOCHS, RESULT):
        (folder / name).unlink(missing_ok=True)
    write_text(folder / REQUEST, json.dumps(request))
    with (folder / LOG).open("wb") as log:
        command = [sys.executable, "-m", "histocnn.searching.child", str(folder.absolute())]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603
        try:
            _follow(child, folder, plan, report, deadline)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
    if child.returncode == DISK_FULL:
        raise StoreError(
            f"{folder}: the disk is full", "Free space: the same command goes on from here."
        ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if child.returncode:
        raise TrialFailedError(_reason(folder / LOG, child.returncode))
    found = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return Judged(found["values"], found["epochs"])


def _follow(
    child: subprocess.Popen[bytes], folder: Path, plan: Plan, report: Report, deadline: float | None
) -> None:
    """Hear of its epochs until it ends, is hopeless, or the time is up."""
    told = 0
    whole = plan.maximize
    done: dict[int, float] = {}  # the best epoch of each fold so far
    running = True
    while running:
        running = child.poll() is None
        lines = list(_epochs(folder / EPOCHS))
        for line in lines[told:]:
            fold, value = int(line["fold"]), line["value"]
            if value is None:
                continue
            before = sum(done[f] for f in done if f < fold)
            mean = (before + value) / (fold + 1)
            better = fold not in done or (value > done[fold]) == whole
            done[fold] = value if better else done[fold]
            if report(fold * FOLD_STEPS + int(line["epoch"]), mean) and running:
                raise TrialPrunedError
        told = len(lines)
        if running and deadline is not None and time.monotonic() > deadline:
            raise TimeIsUpError
        if running:
            time.sleep(POLL_S)


def _epochs(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of what the child has written so far."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for line in text.split("\n")[:-1]:
        yield json.loads(line)


def _reason(log: Path, code: int) -> str:
    """The last line that a trial's process wrote, or what ended it."""
    if code < 0:
        memory = ": most often memory ran out" if code == -9 else ""
        return f"killed by signal {-code}{memory}"
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    said: Sequence[str] = [line.strip() for line in lines if line.strip()]
    return said[-1][:500] if said else f"ended with {code}"


def is_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind an error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False
