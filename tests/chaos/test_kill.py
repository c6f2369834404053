"""kill -9 at a random moment of each stage: what is there is whole, and a rerun does the rest."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import trees
from tests.chaos.conftest import Tally
from tests.chaos.stages import DEMO, STAGES, House, Stage

TRIES, LEAST_HITS, MOST_TRIES = 30, 20, 60
PIPELINE_TRIES = 10


@pytest.mark.parametrize("name", STAGES)
def test_a_killed_stage_is_done_again_as_if_nothing_had_happened(
    house: House, tallies: list[Tally], name: str
) -> None:
    stage, moment, tally = house.stage(name), random.Random(name), Tally("kill -9", name)  # noqa: S311
    tallies.append(tally)
    while tally.tries < TRIES or (tally.hits < LEAST_HITS and tally.tries < MOST_TRIES):
        house.clear(stage)
        hit, losses = _kill(house, stage, moment.uniform(0, house.seconds[name]))
        tally.count(hit=hit, losses=losses)
    assert tally.hits >= LEAST_HITS
    assert tally.lost == []


def test_a_killed_run_of_all_stages_is_done_again(house: House, tallies: list[Tally]) -> None:
    stage, moment, tally = house.stage("run"), random.Random("run"), Tally("kill -9", "run")  # noqa: S311
    tallies.append(tally)
    for _ in range(PIPELINE_TRIES):
        house.clear(stage)
        hit, losses = _kill(house, stage, moment.uniform(0, house.seconds["run"]))
        tally.count(hit=hit, losses=losses)
    assert tally.hits >= PIPELINE_TRIES // 2
    assert tally.lost == []


def test_a_demo_killed_again_and_again_comes_to_the_same_end(
    house: House, tallies: list[Tally]
) -> None:
    moment, tally, out = random.Random("demo"), Tally("kill -9", "demo"), house.out(DEMO)  # noqa: S311
    tallies.append(tally)
    calm = house.run(DEMO)
    assert calm.exit_code == 0, calm.said
    undisturbed = _figures(out)
    house.clear(DEMO)
    for _ in range(PIPELINE_TRIES):
        command = house.start(DEMO, slow=DEMO.slow)
        command.wait_until_begun()
        time.sleep(moment.uniform(0, 0.4 * calm.seconds))
        command.send(signal.SIGKILL)
        tally.count(hit=command.end().exit_code == -signal.SIGKILL, losses=[])
    last = house.run(DEMO)
    losses = [] if last.exit_code == 0 else [f"exit code {last.exit_code}: {last.said[-2000:]}"]
    losses += [f"differ: {names}"] if (names := trees.differing(_figures(out), undisturbed)) else []
    losses += [f"left: {left}"] if (left := trees.unfinished(out)) else []
    tally.lost += losses
    assert tally.hits >= PIPELINE_TRIES // 2
    assert tally.lost == []


def _figures(out: Path) -> dict[str, Any]:
    """What a demo made, without hashes of files: a model's and a page differ in bytes alone."""
    found = {}
    for name, value in trees.content(out).items():
        if name.endswith(".html") or "/.runs/" in name:
            continue
        if name.endswith(".h5"):
            arrays, attributes = value
            value = (
                {key: array for key, array in arrays.items() if key != "reference_sha256"},
                {key: said for key, said in attributes.items() if key != "recipe"},
            )
        found[name] = value
    return found


def _kill(house: House, stage: Stage, seconds: float) -> tuple[bool, list[str]]:
    """Kill the stage so long after its beginning, run it again: was it hit, what is lost?"""
    out = house.out(stage)
    command = house.start(stage, slow=stage.slow)
    command.wait_until_begun()
    time.sleep(seconds)
    command.send(signal.SIGKILL)
    hit = command.end().exit_code == -signal.SIGKILL
    losses = []
    whole = {n: t for n, t in trees.finished(out).items() if n.endswith(stage.suffix)}
    if stage.per_slide:
        there = trees.content(out)
        broken = trees.differing(there, house.undisturbed[stage.name], among=whole)
        losses += [f"broken by the kill: {broken}"] if broken else []
    again = house.run(stage)
    losses += house.losses(stage, again)
    if stage.per_slide and stage.suffix == ".h5":
        kept = trees.finished(out)
        redone = [name for name, written in whole.items() if kept.get(name) != written]
        losses += [f"done twice: {redone}"] if redone else []
    return hit, losses
