"""search.html: what came of a search, on one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histocnn.pages.embedded import Picture, svg
from histocnn.pages.templating import render
from histocnn.storage.atomic import write_text

PURPOSE = "For research use only. Every figure but the last table's is of validation: optimistic."
CAPTIONS = {
    "history": "Each trial's mean over folds, with its standard error; the steps: best so far.",
    "importance": "What of the differences between trials each key explains (functional ANOVA).",
    "parallel": "A line per trial, yellow the best; where good lines part, a key matters little.",
    "slices": "The metric by one key at a time; dark points came late.",
    "spread": "Dots are folds, bars their mean; grey: the best's mean and its standard error. What "
    "is within noise is told above from differences fold by fold: a hard fold is hard for all.",
}
Table = tuple[Sequence[str], Sequence[Sequence[Any]]]


@dataclass(frozen=True)
class Told:
    """What the page says.

    Attributes:
        metric: That was searched by.
        said: What came of it, in words.
        remarks: What must be known of it.
        trials: The table of trials.
        tested: The table of the test patients; None: they were not looked at.
        best: The best configuration.
    """

    metric: str
    said: Sequence[str]
    remarks: Sequence[str]
    trials: Table
    tested: Table | None
    best: str


def write_search_page(path: Path, told: Told, drawings: Path) -> None:
    """Write the page.

    Args:
        path: search.html.
        told: What it says.
        drawings: Folder of the pictures as SVG; those that are not there are left out.
    """
    page = render(
        "search.html.j2",
        title=f"Search by {told.metric}",
        purpose=PURPOSE,
        said=told.said,
        remarks=told.remarks,
        course=_pictures(drawings, "history", "importance"),
        folds=_pictures(drawings, "spread"),
        values=_pictures(drawings, "parallel", "slices"),
        tested=told.tested,
        header=told.trials[0],
        rows=told.trials[1],
        best=told.best,
    )
    write_text(path, page)


def _pictures(drawings: Path, *names: str) -> list[Picture]:
    present = [name for name in names if (drawings / f"{name}.svg").is_file()]
    return [svg(drawings / f"{name}.svg", CAPTIONS[name]) for name in present]
