"""Several processes on one folder, and processes that are ended: SIGTERM, killed loaders."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.chaos import trees
from tests.chaos.conftest import Tally
from tests.chaos.stages import STAGES, House

# Two trainings on one folder are one mistake; one list is written by one command.
SHARED = [name for name in STAGES if name != "train"]
CROWDS, TERMS, LOADERS = 2, 4, 4


@pytest.mark.parametrize("name", SHARED)
def test_three_processes_on_one_folder_do_no_harm(
    house: House, tallies: list[Tally], name: str
) -> None:
    stage, tally = house.stage(name), Tally("three at once", name)
    tallies.append(tally)
    for _ in range(CROWDS):
        house.clear(stage)
        crowd = [house.start(stage, slow=stage.slow) for _ in range(3)]
        ended = [command.end() for command in crowd]
        losses = [f"exit code {e.exit_code}: {e.said[-1000:]}" for e in ended if e.exit_code]
        left = trees.unfinished(house.out(stage))
        losses += [f"left: {left}"] if left else []
        losses += house.losses(stage, house.run(stage))
        tally.count(hit=True, losses=losses)
    assert tally.lost == []


@pytest.mark.parametrize("name", STAGES)
def test_sigterm_is_said_and_leaves_nothing_half_written(
    house: House, tallies: list[Tally], name: str
) -> None:
    stage, moment, tally = house.stage(name), random.Random(name), Tally("SIGTERM", name)  # noqa: S311
    tallies.append(tally)
    for _ in range(TERMS):
        house.clear(stage)
        command = house.start(stage, slow=stage.slow)
        command.wait_until_begun()
        time.sleep(moment.uniform(0, 0.9 * house.seconds[name]))
        command.send(signal.SIGTERM)
        ended = command.end()
        losses = []
        if ended.exit_code not in (0, 143):
            losses.append(f"exit code {ended.exit_code}")
        if ended.exit_code == 143 and "histocnn" not in ended.said:
            losses.append("nothing was said")
        if "Traceback" in ended.said:
            losses.append(f"a traceback: {ended.said[-2000:]}")
        if left := trees.unfinished(house.out(stage)):
            losses.append(f"left: {left}")
        losses += house.losses(stage, house.run(stage))
        tally.count(hit=ended.exit_code != 0, losses=losses)
    assert tally.lost == []


def test_a_killed_loader_ends_training_in_a_line_and_it_begins_again(
    house: House, tallies: list[Tally]
) -> None:
    stage, moment = house.stage("train"), random.Random("loader")  # noqa: S311
    tally = Tally("killed loader", "train")
    tallies.append(tally)
    loaders = [*house.words(stage, house.out(stage)), "--data.workers=2", "--data.start=fork"]
    loaders += ["--data.batch_size=2", "--trainer.max_epochs=2"]  # so that each has work to the end
    for _ in range(LOADERS):
        house.clear(stage)
        command = house.warm.start(loaders, stage=stage.begins, slow=stage.slow)
        command.wait_until_begun()
        _a_child(command.pid)
        time.sleep(moment.uniform(0.05, 0.5))
        victim = _a_child(command.pid)
        if victim is not None:
            _kill(victim)
        ended = command.end()
        losses = []
        # Killed with nothing left to do it is not missed; torch may say so in its own words.
        if ended.exit_code not in (0, 1):
            losses.append(f"exit code {ended.exit_code}: {ended.said[-1500:]}")
        if ended.exit_code == 1 and ("a loader" not in ended.said or "Traceback" in ended.said):
            losses.append(f"said: {ended.said[-1500:]}")
        again = house.warm.run(loaders, stage=stage.begins)
        if again.exit_code:
            losses.append(f"again: exit code {again.exit_code}: {again.said[-1500:]}")
        if left := trees.unfinished(house.out(stage)):
            losses.append(f"left: {left}")
        tally.count(hit=ended.exit_code == 1, losses=losses)
    assert tally.hits
    assert tally.lost == []


def _a_child(pid: int) -> int | None:
    """A loader of a training run; None if it ended before it had any."""
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    while listing.exists():
        children = listing.read_text().split()
        if len(children) >= 2:
            return int(children[-1])
        time.sleep(0.001)
    return None


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
