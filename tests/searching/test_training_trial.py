from __future__ import annotations

import errno
import json
import sys
import time
from pathlib import Path

import pytest

from histocnn.errors import StoreError
from histocnn.searching import training_trial
from histocnn.searching.judging import TimeIsUpError, TrialFailedError, TrialPrunedError
from histocnn.searching.training_trial import is_full, run_training
from tests.searching.configurations import plan_of

PYTHON = sys.executable
CHILD = """
import json, os, sys, time
from pathlib import Path
folder = Path(sys.argv[3])
request = json.loads((folder / "request.json").read_text())
for fold in range(2):
    for epoch in range(2):
        with (folder / "epochs.jsonl").open("a") as file:
            value = None if epoch == 0 and fold == 1 else 0.5 + 0.1 * fold + 0.02 * epoch
            file.write(json.dumps({"fold": fold, "epoch": epoch, "value": value}) + "\\n")
"""
ENDS = {
    "well": """
(folder / "result.json").write_text(json.dumps({"values": [0.52, 0.62], "epochs": [1, 1]}))
""",
    "error": 'print("the loss became nan in epoch 0", file=sys.stderr); sys.exit(1)',
    "silent": "sys.exit(3)",
    "killed": "os.kill(os.getpid(), 9)",
    "full": "sys.exit(28)",
    "late": "time.sleep(60)",
}


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts a trial whose process ends in a way; no training."""
    plan = plan_of(tmp_path)
    folder = tmp_path / "out" / "trials" / "00000"
    folder.mkdir(parents=True)

    def run(ends, report=lambda step, value: False, deadline=None):
        script = tmp_path / "child.py"
        script.write_text(CHILD + ENDS[ends])
        python = tmp_path / "python"  # stands in for `python -m histocnn.searching.child FOLDER`
        python.write_text(f'#!/bin/sh\nexec {PYTHON} {script} "$@"\n')
        python.chmod(0o755)
        monkeypatch.setattr(training_trial.sys, "executable", str(python))
        monkeypatch.setattr(training_trial, "POLL_S", 0.02)
        return run_training(plan, {"features.c": 0.1}, folder, report, deadline)

    return run


def test_a_process_that_ends_well_is_heard_epoch_by_epoch(start, tmp_path):
    heard = []
    found = start("well", lambda step, value: heard.append((step, round(value, 3))))
    assert (found.folds, found.epochs) == ([0.52, 0.62], [1, 1])
    # Of the second fold the mean with the first one's best; what is undefined is not told.
    assert heard == [(0, 0.5), (1, 0.52), (1001, 0.57)]
    request = json.loads((tmp_path / "out/trials/00000/request.json").read_text())
    assert request["metric"] == "macro_auroc"
    assert [Path(fold).name for fold in request["folds"]] == ["0.csv", "1.csv"]
    assert "--features.c=0.1" in request["words"]


def test_the_reason_of_a_process_that_fails_is_its_last_line(start):
    with pytest.raises(TrialFailedError, match=r"^the loss became nan in epoch 0$"):
        start("error")
    with pytest.raises(TrialFailedError, match="ended with 3"):
        start("silent")
    with pytest.raises(TrialFailedError, match="killed by signal 9: most often memory ran out"):
        start("killed")


def test_a_full_disk_is_no_fault_of_the_trial(start):
    with pytest.raises(StoreError, match="the disk is full") as found:
        start("full")
    assert is_full(found.value)
    assert not is_full(OSError(errno.EACCES, "no"))


def test_a_hopeless_trial_and_one_without_time_are_stopped(start):
    began = time.monotonic()
    with pytest.raises(TrialPrunedError):
        start("late", lambda step, value: step == 1)
    with pytest.raises(TimeIsUpError):
        start("late", deadline=time.monotonic() + 0.3)
    assert time.monotonic() - began < 30
