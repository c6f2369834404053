"""Processes that are ended: SIGTERM to stages, kill -9 to workers and to training's loaders."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time

import pytest

from tests.chaos import trees
from tests.chaos.conftest import Tally
from tests.chaos.stages import IDS, STAGES, House, Stage
from tests.chaos.warm import Command, Ended, children

TERMS, WORKERS, LOADERS = 10, 6, 6
IN_PROCESSES = (
    "tile",
    "predict",
    "predict --dense",
    "embed",
    "heatmap",
    "export",
)  # those that know --workers
TERMINATED = "histocnn: terminated; the same command again does what is left"
TWO = ("--workers", "2")


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
        _count_terminated(house, stage, command, tally)
    assert tally.hits
    assert tally.lost == []


@pytest.mark.parametrize("name", IN_PROCESSES)
def test_sigterm_ends_the_workers_too(house: House, tallies: list[Tally], name: str) -> None:
    stage, moment = house.stage(name), random.Random(name)  # noqa: S311
    tally = Tally("SIGTERM, --workers 2", name)
    tallies.append(tally)
    for _ in range(WORKERS):
        house.clear(stage)
        command = house.start(stage, *TWO, slow=stage.slow)
        _wait_for_a_claim(house, stage, command)
        time.sleep(moment.uniform(0, 0.5 * house.seconds[name]))
        _count_terminated(house, stage, command, tally)
    assert tally.hits
    assert tally.lost == []


def _count_terminated(house: House, stage: Stage, command: Command, tally: Tally) -> None:
    """Send SIGTERM, look at what is said and left, run the stage again, enter the try."""
    began = time.monotonic()
    command.send(signal.SIGTERM)
    ended, seconds = command.end(), time.monotonic() - began
    losses = []
    if ended.exit_code not in (0, 143):
        losses.append(f"exit code {ended.exit_code}: {ended.said[-1000:]}")
    if ended.exit_code == 143 and ended.said.splitlines()[-1:] != [TERMINATED]:
        losses.append(f"said: {ended.said[-1000:]}")
    if "Traceback" in ended.said:
        losses.append(f"a traceback: {ended.said[-2000:]}")
    if ended.left:
        losses.append(f"processes that stayed: {ended.left}")
    if seconds > 20:
        losses.append(f"ended after {seconds:.0f} s")
    if left := trees.unfinished(house.out(stage)):
        losses.append(f"left: {left}")
    if stage.per_slide and (lacking := trees.sums_lack(house.out(stage))):
        losses.append(f"run.json lacks {lacking}")
    losses += house.losses(stage, house.run(stage))
    tally.count(hit=ended.exit_code == 143, losses=losses)


@pytest.mark.parametrize("name", IN_PROCESSES)
def test_a_killed_worker_costs_its_slide_and_no_other(
    house: House, tallies: list[Tally], name: str
) -> None:
    stage, moment, tally = house.stage(name), random.Random(name), Tally("killed worker", name)  # noqa: S311
    tallies.append(tally)
    for _ in range(WORKERS):
        house.clear(stage)
        command = house.start(stage, *TWO, slow=stage.slow)
        _wait_for_a_claim(house, stage, command)
        time.sleep(moment.uniform(0, 0.5 * house.seconds[name]))
        workers = children(command.pid, "spawn_main")
        if workers:
            _kill(moment.choice(workers))
        ended = command.end()
        losses = _worker_losses(house, stage, ended)
        losses += house.losses(stage, house.run(stage))
        tally.count(hit=ended.exit_code == 1, losses=losses)
    assert tally.hits
    assert tally.lost == []


def _worker_losses(house: House, stage: Stage, ended: Ended) -> list[str]:
    """What is wrong after a worker was killed; nothing is failed if it had nothing to do."""
    out, losses = house.out(stage), []
    failed = [path.name.removesuffix(".failed.json") for path in out.glob("*.failed.json")]
    if ended.exit_code != (1 if failed else 0) or len(failed) > 1:
        losses.append(f"exit code {ended.exit_code}, failed: {failed}: {ended.said[-1500:]}")
    if "Traceback" in ended.said or (failed and "was killed by SIGKILL" not in ended.said):
        losses.append(f"said: {ended.said[-1500:]}")
    if left := trees.unfinished(out):
        losses.append(f"left: {left}")
    wrong = trees.sums_disagree(out, IDS, failed)
    ours = [n for n in house.undisturbed[stage.name] if not any(i in n for i in failed)]
    ours = [name for name in ours if name != "slides.csv"]
    if differ := trees.differing(trees.content(out), house.undisturbed[stage.name], among=ours):
        wrong.append(f"others differ: {differ}")
    return losses + wrong


def _wait_for_a_claim(house: House, stage: Stage, command: Command) -> None:
    """Until a worker has begun a slide, or the command has ended."""
    deadline = time.monotonic() + 240
    records = house.out(stage) / ".runs"
    while command.runs() and not list(records.glob(f"*{stage.suffix}.json")):
        assert time.monotonic() < deadline, "the workers do not begin"
        time.sleep(0.002)


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
        _a_child(command)
        time.sleep(moment.uniform(0.05, 0.5))
        victim = _a_child(command)
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


def _a_child(command: Command) -> int | None:
    """A loader of a training run; None if it ended before it had any."""
    while command.runs():
        if len(loaders := children(command.pid)) >= 2:
            return loaders[-1]
        time.sleep(0.001)
    return None


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
