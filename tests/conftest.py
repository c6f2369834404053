"""Fixtures every test may use: the shared real data, and small slides written on the spot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported: pytest-xdist has a process per core already.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

settings.register_profile("shared machine", deadline=None)  # a slow moment is no failure
settings.load_profile("shared machine")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real slides and patches beside the checkout; skips where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the shared real data are not on this machine")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def _nobody_cuts_the_power() -> Iterator[None]:
    """No file is waited for until it is on the disk itself: thousands are written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without their drawn figures, a second each, where a test does not look at them."""
    monkeypatch.setattr("histocnn.evaluation.writing.draw", lambda *args, **kwargs: None)
