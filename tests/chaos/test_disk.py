"""A disk that is full, a folder that nobody may write: said in a line, and nothing half-written."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos import trees
from tests.chaos.conftest import Tally
from tests.chaos.stages import STAGES, House

TRIES = 4
NOBODY = 65534


@contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[None]:
    """A disk of so many KiB at `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={kib}k", "tmpfs"]
    if subprocess.run(["mount", *options, folder], capture_output=True, check=False).returncode:
        pytest.skip("no disk may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.usefixtures("root_only")
@pytest.mark.parametrize("name", STAGES)
def test_a_full_disk_is_said_and_with_space_the_rest_is_done(
    house: House, tallies: list[Tally], name: str
) -> None:
    stage, size, tally = house.stage(name), random.Random(name), Tally("disk full", name)  # noqa: S311
    tallies.append(tally)
    out = house.out(stage)
    needed = sum(path.stat().st_size for path in (house.place / name).rglob("*") if path.is_file())
    for _ in range(TRIES):
        house.clear(stage)
        with small_disk(out, max(4, int(needed * size.uniform(0.05, 0.9)) // 1024)):
            ended = house.run(stage)
            losses = []
            if ended.exit_code not in (0, 1):
                losses.append(f"exit code {ended.exit_code}")
            if ended.exit_code == 1 and "the disk" not in ended.said:
                losses.append(f"not said: {ended.said[-1000:]}")
            if "Traceback" in ended.said or '"traceback": "' in _failures(out):
                losses.append(f"a traceback: {ended.said[-2000:]} {_failures(out)[-2000:]}")
            if left := trees.unfinished(out):
                losses.append(f"left: {left}")
            if stage.per_slide:
                whole = [n for n in trees.finished(out) if n.endswith(stage.suffix)]
                there = trees.content(out)
                broken = trees.differing(there, house.undisturbed[name], among=whole)
                losses += [f"broken: {broken}"] if broken else []
            enlarge = ["mount", "-o", "remount,size=1g", str(out)]
            subprocess.run(enlarge, check=True)
            losses += house.losses(stage, house.run(stage))
        tally.count(hit=ended.exit_code == 1, losses=losses)
    assert tally.hits >= TRIES // 2
    assert tally.lost == []


def _failures(out: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in out.glob("*.failed.json"))


@pytest.mark.usefixtures("root_only")
@pytest.mark.parametrize("name", STAGES)
def test_a_read_only_folder_is_said_before_the_work(
    house: House, tallies: list[Tally], name: str
) -> None:
    stage, tally = house.stage(name), Tally("read-only folder", name)
    tallies.append(tally)
    out = house.out(stage)
    house.clear(stage)
    out.mkdir(parents=True, exist_ok=True)
    ended = house.run(stage, user=NOBODY)
    losses = [] if ended.exit_code == 1 else [f"exit code {ended.exit_code}"]
    if "cannot be written" not in ended.said or "Traceback" in ended.said:
        losses.append(f"said: {ended.said[-2000:]}")
    if there := list(out.iterdir()):
        losses.append(f"written: {there}")
    losses += house.losses(stage, house.run(stage))
    tally.count(hit=ended.exit_code == 1, losses=losses)
    assert tally.lost == []
