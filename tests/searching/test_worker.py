from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from histocnn.errors import StoreError, TrainingError
from histocnn.searching.journal import open_study
from histocnn.searching.judging import Judged, TimeIsUpError, TrialFailedError, TrialPrunedError
from histocnn.searching.results import rows_of
from histocnn.searching.worker import Worker
from tests.searching.configurations import plan_of, write_config


def opened(folder, *args, **search):
    return open_study(plan_of(folder, *args, **search), folder / "out", before=lambda: None)


def worked(study, run, *, wait=True):
    said: list[str] = []
    Worker(study, run, said.append).work(wait=wait)
    return said


def test_a_trial_that_fails_keeps_its_reason_and_the_search_goes_on(tmp_path):
    study = opened(tmp_path)
    number = iter(range(6))

    def run(values, folder, report, deadline):
        this = next(number)
        if this == 1:
            raise TrialFailedError("the loss became nan in epoch 0")
        if this == 2:
            raise TrainingError("a batch does not fit the memory")
        if this == 3:
            raise TrialPrunedError
        return Judged([0.5, 0.7])

    said = worked(study, run)
    rows = rows_of(study)
    assert [r.state for r in rows] == ["complete", "failed", "failed", "pruned", *["complete"] * 2]
    assert rows[1].reason == "the loss became nan in epoch 0"
    assert rows[2].reason == "a batch does not fit the memory"
    assert (rows[0].value, rows[0].folds) == (0.6, (0.5, 0.7))
    assert said[1] == "trial 1: fail (the loss became nan in epoch 0)"
    assert rows[0].values == {"features.c": 0.001, "features.use": "near"}


def test_an_epoch_worse_than_the_median_is_hopeless(tmp_path):
    study = opened(tmp_path, prune_after=1)
    seen = []

    def run(values, folder, report, deadline):
        worst = len(seen) == 5
        seen.append([report(step, 0.1 if worst else 0.5 + step / 10) for step in range(3)])
        return Judged([0.5])

    worked(study, run)
    assert seen[:5] == [[False] * 3] * 5
    assert seen[5] == [False, True, True]  # an epoch is given to each


def test_on_a_full_disk_the_worker_ends_and_the_trial_waits_again(tmp_path):
    study = opened(tmp_path)

    def full(values, folder, report, deadline):
        raise StoreError("the disk is full") from OSError(errno.ENOSPC, "No space left")

    with pytest.raises(StoreError, match="the disk is full"):
        worked(study, full)
    assert [r.state for r in rows_of(study)] == ["lost", *["waiting"] * 6]
    worked(study, lambda *_: Judged([0.5]))
    assert [r.state for r in rows_of(study)] == ["lost", *["complete"] * 6]


def test_a_full_journal_is_said_in_a_line_and_no_half_line_stays(tmp_path, monkeypatch):
    study = opened(tmp_path)
    before = study.journal.read_bytes()

    def fsync(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("histocnn.searching.journal_file.os.fsync", fsync)
    with pytest.raises(StoreError, match=r"journal.log: the disk is full"):
        worked(study, lambda *_: Judged([0.5]))
    assert study.journal.read_bytes() == before


def test_what_ends_the_process_loses_no_trial(tmp_path):
    study = opened(tmp_path)

    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        worked(study, interrupted)
    assert [r.state for r in rows_of(study)].count("waiting") == 6


def test_when_the_time_is_up_no_trial_begins(tmp_path):
    study = opened(tmp_path, minutes=1e-9)
    worked(study, lambda *_: Judged([0.5]))
    assert {r.state for r in rows_of(study)} == {"waiting"}
    study = opened(tmp_path, minutes=60)

    def late(values, folder, report, deadline):
        assert 3500 < deadline - time.monotonic() < 3600
        raise TimeIsUpError

    worked(study, late)
    assert {r.reason for r in rows_of(study)} == {"the time was up"}


SLOW = """
import sys, time
from pathlib import Path
from histocnn.searching.journal import open_study
from histocnn.searching.judging import Judged
from histocnn.searching.plan import read_plan
from histocnn.searching.worker import Worker
plan = read_plan(Path(sys.argv[1]))
def run(values, folder, report, deadline):
    time.sleep(0.4)
    return Judged([0.5])
Worker(open_study(plan, Path(sys.argv[2]), before=lambda: None), run).work(wait=True)
"""


@pytest.mark.slow
def test_four_processes_finish_twenty_trials_though_one_is_killed(tmp_path):
    space = {"features.c": {"low": 1e-4, "high": 10, "log": True}}
    config = write_config(tmp_path, space, sampler="tpe", trials=20)
    command = [sys.executable, "-c", SLOW, str(config), str(tmp_path / "out")]
    workers = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(4)]
    study = None
    while study is None or workers[0].pid not in running(study):
        time.sleep(0.1)
        if (tmp_path / "out" / "journal.log").exists():
            study = opened(tmp_path, space, sampler="tpe", trials=20)
    workers[0].send_signal(signal.SIGKILL)
    assert [w.wait(timeout=200) for w in workers] == [-9, 0, 0, 0]
    rows = rows_of(study)
    states = [row.state for row in rows]
    assert states.count("complete") == 20
    assert states.count("lost") <= 1  # killed in a trial, or between two
    assert len(states) == 20 + states.count("lost")
    assert len({json.dumps(row.values) for row in rows if row.state == "complete"}) == 20
    assert len({row.pid for row in rows}) >= 2


def running(study) -> set[int]:
    trials = study.trials(TrialState.RUNNING)
    return {trial.user_attrs.get("who", {}).get("pid") for trial in trials}
