"""What holds for every test and every example in a docstring."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # a core each, also for what a test starts
    os.environ["OMP_NUM_THREADS"] = "1"  # read by numpy and torch when they are first imported

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what ends in & so
    signal.signal(signal.SIGINT, signal.default_int_handler)

MOST_PROCESSES = 8  # each takes torch's half GB and more, and the longest file sets the pace


def pytest_xdist_auto_num_workers() -> int:
    """The cores that this process may use, which on a shared machine are not all."""
    return min(len(os.sched_getaffinity(0)), MOST_PROCESSES)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported stays: nobody looks for garbage in it, now or between the tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `histocnn demo --out demo` begins with, of one small slide: demo/cohort/slides.csv."""
    from histocnn.phantom.cohort import make_cohort

    folder = tmp_path_factory.mktemp("examples") / "demo"
    make_cohort(folder / "cohort", slides=1, patients=1, labs=1, size_px=(1024, 1024))
    return folder


@pytest.fixture(autouse=True)
def _in_a_folder_with_the_demo(request: pytest.FixtureRequest) -> None:
    """Run an example of a docstring where its reader would be: beside the demo's output."""
    if isinstance(request.node, pytest.DoctestItem):
        here: Path = request.getfixturevalue("tmp_path")
        (here / "demo").symlink_to(request.getfixturevalue("demo"))
        request.getfixturevalue("monkeypatch").chdir(here)
