from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest
from optuna.trial import TrialState

from histocnn.errors import StoreError, UsageError
from histocnn.searching import journal
from histocnn.searching.journal import open_study
from histocnn.searching.journal_file import Touching
from histocnn.searching.space import draw
from tests.searching.configurations import plan_of


def opened(folder, *space, **search):
    plan = plan_of(folder, *space, **search)
    return open_study(plan, folder / "out", before=lambda: None)


def _ended() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_study_is_there_whole_with_all_its_trials_waiting(tmp_path):
    asked = []
    study = open_study(plan_of(tmp_path), tmp_path / "out", before=lambda: asked.append(1))
    assert len(study.trials(TrialState.WAITING)) == 6
    again = open_study(study.plan, tmp_path / "out", before=lambda: asked.append(2))
    assert len(again.trials()) == 6
    assert asked == [1]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["journal.log"]


def test_two_processes_never_take_the_same_trial_and_none_is_made_beyond_the_last(tmp_path):
    one, two = opened(tmp_path), opened(tmp_path)
    taken = []
    while (trial := one.take()) is not None:
        taken.append(trial.number)
        one, two = two, one
    assert taken == list(range(6))
    assert len(one.trials()) == 6


def test_a_trial_says_who_works_on_it(tmp_path):
    study = opened(tmp_path)
    trial = study.take()
    who = study.trials(TrialState.RUNNING)[0].user_attrs["who"]
    assert who["pid"] == os.getpid()
    assert who["host"].startswith(socket.gethostname()[:8])
    assert study.finish(trial, TrialState.COMPLETE, 0.5)
    assert not study.finish(trial, TrialState.FAIL)  # ended already


def test_a_trial_whose_process_is_gone_waits_again_with_its_values(tmp_path):
    study = opened(tmp_path, sampler="random", trials=3)
    trial = study.take()
    values = draw(study.plan.space, trial)
    assert study.revive() == []  # we live
    trial.set_user_attr("who", {"host": journal.host(), "pid": _ended()})
    assert study.revive() == [0]
    assert study.trials()[0].state == TrialState.FAIL
    assert study.trials()[0].user_attrs["lost"] == "true"
    numbers = []
    while (other := study.take()) is not None:
        numbers.append(other.number)
        if other.number == 3:
            assert draw(study.plan.space, other) == values
    assert numbers == [1, 2, 3]


def test_of_a_trial_that_two_processes_put_back_one_is_done(tmp_path):
    one, two = opened(tmp_path), opened(tmp_path)
    trial = one.take()
    trial.set_user_attr("who", {"host": journal.host(), "pid": _ended()})
    lost = one.trials(TrialState.RUNNING)[0]
    one.put_back(lost, "gone")
    two.put_back(lost, "gone")
    numbers = []
    while (other := two.take()) is not None:
        numbers.append(other.number)
    assert numbers == [1, 2, 3, 4, 5, 6]
    assert one.trials()[7].user_attrs["surplus"]


def test_another_machines_trial_is_lost_when_nothing_has_touched_its_file_for_long(
    tmp_path, monkeypatch
):
    study = opened(tmp_path)
    trial = study.take()
    trial.set_user_attr("who", {"host": "elsewhere", "pid": 1})
    with Touching(study.folder(0) / "alive"):
        assert study.revive() == []
    monkeypatch.setattr(journal, "STALE_S", 0.0)
    time.sleep(0.02)
    assert study.revive() == [0]


def test_what_ends_its_process_three_times_is_not_begun_a_fourth(tmp_path):
    study = opened(tmp_path, {"features.c": [0.1]})
    for _ in range(3):
        trial = study.take()
        trial.set_user_attr("who", {"host": journal.host(), "pid": _ended()})
        study.revive()
    assert study.take() is None
    assert [t.user_attrs.get("lost") for t in study.trials()] == ["true", "true", None]


def test_a_study_of_another_space_is_refused_and_the_keys_named(tmp_path):
    opened(tmp_path)
    with pytest.raises(UsageError, match=r"another space \(search.space.features.c\)"):
        opened(tmp_path, {"features.c": [0.5, 1.0], "features.use": ["near", "far"]})
    with pytest.raises(UsageError, match=r"\(search.folds, search.metric\)"):
        opened(tmp_path, folds=3, metric="accuracy")


def test_half_a_line_that_a_full_disk_left_is_taken_away(tmp_path):
    study = opened(tmp_path)
    with study.journal.open("ab") as file:
        file.write(b'{"op_code": 4, "tri')
    again = opened(tmp_path)
    assert again.take().number == 0
    assert opened(tmp_path).take().number == 1


def test_what_is_no_journal_is_said(tmp_path):
    opened(tmp_path)
    (tmp_path / "out" / "journal.log").write_text("no\njournal\n")
    with pytest.raises(StoreError, match=r"journal.log: is no journal of a search, or is damaged"):
        opened(tmp_path)


def test_random_and_tpe_draw_the_same_by_the_seed(tmp_path):
    space = {"features.c": {"low": 1e-4, "high": 10, "log": True}, "features.use": ["near", "far"]}
    for sampler in ("random", "tpe"):
        drawn = []
        for name, seed in (("a", 1), ("b", 1), ("c", 2)):
            (tmp_path / sampler / name).mkdir(parents=True)
            study = opened(tmp_path / sampler / name, space, sampler=sampler, trials=13, seed=seed)
            own = []
            while (trial := study.take()) is not None:
                own.append(draw(study.plan.space, trial))
                study.finish(trial, TrialState.COMPLETE, own[-1]["features.c"])
            drawn.append(own)
        assert drawn[0] == drawn[1]
        assert drawn[0] != drawn[2]
        assert len(drawn[0]) == 13
