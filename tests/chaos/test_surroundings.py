"""Few open files, LANG=C, no HOME, no terminal: the same result."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.chaos.conftest import Tally
from tests.chaos.stages import STAGES, House
from tests.chaos.warm import ROOT, Ended


@pytest.mark.parametrize("name", STAGES)
def test_64_open_files_are_enough(house: House, tallies: list[Tally], name: str) -> None:
    stage, tally = house.stage(name), Tally("ulimit -n 64", name)
    tallies.append(tally)
    house.clear(stage)
    tally.count(hit=True, losses=house.losses(stage, house.run(stage, files=64)))
    assert tally.lost == []


@pytest.mark.parametrize("name", STAGES)
def test_neither_language_nor_home_nor_terminal_is_needed(
    house: House, tallies: list[Tally], name: str
) -> None:
    stage, tally = house.stage(name), Tally("LANG=C, no HOME, no TTY", name)
    tallies.append(tally)
    house.clear(stage)
    bare = {
        "LC_ALL": "C",
        "OMP_NUM_THREADS": "1",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-m", "histocnn.cli", *house.words(stage, house.out(stage))],
        env=bare,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    tally.count(hit=True, losses=house.losses(stage, Ended(done.returncode, 0, said)))
    assert tally.lost == []
