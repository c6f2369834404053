"""Fixtures every test may use: the shared real data, and small slides written on the spot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # a core each, also for what a test starts
    os.environ["OMP_NUM_THREADS"] = "1"  # read by numpy and torch when they are first imported
settings.register_profile("shared machine", deadline=None)  # a slow moment is no failure
settings.load_profile("shared machine")

MOST_PROCESSES = 8  # each takes torch's half GB and more, and the longest file sets the pace

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_xdist_auto_num_workers() -> int:
    """The cores that this process may use, which on a shared machine are not all."""
    return min(len(os.sched_getaffinity(0)), MOST_PROCESSES)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real slides and patches beside the checkout; skips where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the shared real data are not on this machine")
    return SHARED
