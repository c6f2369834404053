"""A small cohort, what each stage makes of it undisturbed, and the campaign's table."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.stages import House
from tests.chaos.warm import Warm

HERE = Path(__file__).parent
ROWS = pytest.StashKey[list[tuple[str, str, int, int, int]]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.chaos)
            item.add_marker(pytest.mark.timeout(3600))


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    rows = config.stash.get(ROWS, [])
    if rows:
        terminalreporter.section("the campaign")
        terminalreporter.line("| what | stage | tries | hits | losses |")
        terminalreporter.line("|---|---|---:|---:|---:|")
        for what, stage, tries, hits, losses in rows:
            terminalreporter.line(f"| {what} | {stage} | {tries} | {hits} | {losses} |")


class Tally:
    """Tries, hits and losses of one test; a loss is told at once and fails the test at its end."""

    def __init__(self, what: str, stage: str) -> None:
        self.what, self.stage = what, stage
        self.tries = self.hits = 0
        self.lost: list[str] = []

    def count(self, *, hit: bool, losses: list[str]) -> None:
        """Enter a try; `losses` says what was found wrong after it."""
        self.tries += 1
        self.hits += hit
        if losses:
            self.lost.append(f"try {self.tries}: {'; '.join(losses)}")
            print(f"{self.what}, {self.stage}, {self.lost[-1]}", flush=True)

    def __str__(self) -> str:
        counts = f"{self.tries} tries, {self.hits} hits, {len(self.lost)} losses"
        return f"{self.what}, {self.stage}: {counts}"


@pytest.fixture
def tallies(request: pytest.FixtureRequest) -> Iterator[list[Tally]]:
    """Tallies put here are printed, enter the table, and fail the test if anything was lost."""
    kept: list[Tally] = []
    yield kept
    for tally in kept:
        print(tally)
        row = (tally.what, tally.stage, tally.tries, tally.hits, len(tally.lost))
        request.config.stash[ROWS].append(row)


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A folder that other users may look into, as pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="histocnn-chaos-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def warm(place: Path) -> Iterator[Warm]:
    (place / "logs").mkdir()
    (place / "logs").chmod(0o777)  # for other users' commands, too
    server = Warm(place / "logs")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def house(place: Path, warm: Warm) -> House:
    """The cohort, and the stages' folders as they are when nothing happens."""
    return House(place, warm)


@pytest.fixture
def root_only() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: it mounts a small disk, or becomes another user")
