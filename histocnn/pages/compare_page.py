"""compare.html: several networks' features of the same patches, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histocnn.pages.embedded import svg
from histocnn.pages.templating import render
from histocnn.storage.atomic import write_text

PURPOSE = "For research use only. Frozen features; nobody's own patches took part in a figure."
CAPTIONS = {
    "few_shots": "The nearest class mean of a few labelled patches; shaded: 95 % over patients.",
    "neighbours": "The same k-NN for other numbers of neighbours.",
}
Table = tuple[Sequence[str], Sequence[Sequence[Any]]]


@dataclass(frozen=True)
class Shown:
    """What the page says.

    Attributes:
        said: What came of it, in words.
        remarks: What must be known of it.
        figures: The table of k-NN and probe.
        few: The table of few shots.
        networks: What each network is.
        how: How the figures were made.
    """

    said: Sequence[str]
    remarks: Sequence[str]
    figures: Table
    few: Table
    networks: Table
    how: Sequence[str]


def write_compare_page(path: Path, shown: Shown, drawings: Path) -> None:
    """Write the page.

    Args:
        path: compare.html.
        shown: What it says.
        drawings: Folder of the pictures as SVG.
    """
    pictures = [svg(drawings / f"{name}.svg", caption) for name, caption in CAPTIONS.items()]
    page = render(
        "compare.html.j2",
        title="Which network for these patches?",
        purpose=PURPOSE,
        pictures=pictures,
        **vars(shown),
    )
    write_text(path, page)
