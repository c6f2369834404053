"""What a run shows: a line for every slide, and on a terminal bars over slides and patches."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Bars:
    """Bars over slides and patches on standard error; elsewhere than a terminal only the lines.

    Args:
        command: The stage's name, before the bars.
        slides: How many there are.
        unit: What a slide is made of.
    """

    def __init__(self, command: str, slides: int, unit: str = "patches") -> None:
        self._console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._slides = self._progress.add_task(f"{command}: slides", total=slides)
        self._patches = self._progress.add_task(unit, total=None)
        self._seen: dict[str, tuple[int, int]] = {}
        self._done_all = self._total_all = 0

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def tick(self, slide_id: str, done: int, total: int) -> None:
        """Show that a slide has `done` of its `total` units."""
        done_before, total_before = self._seen.get(slide_id, (0, 0))
        self._seen[slide_id] = (done, total)
        self._done_all += done - done_before
        self._total_all += total - total_before
        self._progress.update(self._patches, completed=self._done_all, total=self._total_all)

    def advance(self) -> None:
        """Show that one slide more is behind us."""
        self._progress.advance(self._slides)

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._console.print(line)
