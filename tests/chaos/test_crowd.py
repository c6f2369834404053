"""Several processes on one folder."""

from __future__ import annotations

import pytest

from tests.chaos import trees
from tests.chaos.conftest import Tally
from tests.chaos.stages import STAGES, House

# Two trainings on one folder are one mistake; one list is written by one command.
SHARED = [name for name in STAGES if name != "train"]
CROWDS = 4


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
