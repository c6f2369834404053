"""Stages called in order: says what runs, keeps what came of it and where the time went."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from histocnn.jobs.result import StageResult

T = TypeVar("T")


@dataclass(frozen=True)
class RunResult(StageResult):
    """What came of several stages: the outputs of all, and of each failed slide its first failure.

    Attributes:
        parts: Each stage's own result, by its name, in order.
    """

    parts: Mapping[str, StageResult] = field(default_factory=dict, repr=False)

    @property
    def report(self) -> Any:
        """The report of `evaluate`; None where it did not run."""
        return getattr(self.parts.get("evaluate"), "report", None)


class Steps:
    """Runs stages one after the other.

    >>> steps = Steps()
    >>> steps.take("tile", "grids", lambda: StageResult(failures={"s1": "no resolution"}))
    <BLANKLINE>
    histocnn tile: grids
    StageResult(outputs=(), failures={'s1': 'no resolution'})
    >>> steps.result.failures
    {'s1': 'tile: no resolution'}
    """

    def __init__(self) -> None:
        self._parts: dict[str, StageResult] = {}
        self._seconds: dict[str, float] = {}

    def take(self, name: str, purpose: str, step: Callable[[], T]) -> T:
        """Run one stage.

        Args:
            name: The stage's.
            purpose: Shown beside it, before it starts.
            step: Runs it; a `StageResult` that it returns is kept.
        """
        print(f"\nhistocnn {name}: {purpose}", flush=True)
        start = time.perf_counter()
        result = step()
        self._seconds[name] = time.perf_counter() - start
        if isinstance(result, StageResult):
            self._parts[name] = result
        return result

    @property
    def failed(self) -> bool:
        """Whether anything has failed so far."""
        return any(part.failures for part in self._parts.values())

    @property
    def result(self) -> RunResult:
        """All that came of it so far."""
        outputs: list[Path] = []
        failures: dict[str, str] = {}
        for name, part in self._parts.items():
            outputs += part.outputs
            for slide_id, message in part.failures.items():
                failures.setdefault(slide_id, f"{name}: {message}")
        rows = [
            {"stage": name, **row}
            for name, part in self._parts.items()
            for row in part.rows
            if name != "evaluate"
        ]
        return RunResult(outputs=outputs, failures=failures, rows=rows, parts=self._parts)

    def __str__(self) -> str:
        total = sum(self._seconds.values())
        parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self._seconds.items())
        return f"{total:.0f} s: {parts}"
