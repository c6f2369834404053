"""How many patches, slides and patients of each class are in each split, before training begins."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from histocnn.errors import CohortError
from histocnn.models.options import ModelOptions
from histocnn.models.rows import Part, Rows

UNITS = ("patches", "slides", "patients")
UNKNOWN = "?"
FEW = 4_000  # patches: of 1,900 and 3,000 a probe won (docs/benchmarks.md, Small data)


def check_classes(rows: Mapping[Part, Rows], decided_by: str) -> None:
    """Refuse splits in which a class cannot be learnt or nothing can be validated.

    Args:
        rows: Of each split.
        decided_by: What the split follows, for the remedy.

    Raises:
        CohortError: A class without training patches, or a validation split of one class.
    """
    names = rows["train"].class_names
    counts = {p: np.bincount(r.labels, minlength=len(names)) for p, r in rows.items()}
    absent = [name for name, count in zip(names, counts["train"], strict=True) if not count]
    if absent:
        raise CohortError(
            f"the training split has no patches of class {', '.join(absent)}",
            f"Change {decided_by}, or take the class out.",
        )
    present = [name for name, count in zip(names, counts["val"], strict=True) if count]
    if len(present) < 2:
        raise CohortError(
            f"the validation split has only the class {', '.join(present)}: no epoch can be called "
            "the best by it",
            f"Change {decided_by}.",
        )


def table(rows: Mapping[Part, Rows]) -> str:
    """Set class × split as text, with patches, slides and patients; `?` where nobody knows them."""
    names = rows["train"].class_names
    body = [[name, *_cells(rows, label)] for label, name in enumerate(names)]
    lines = [["", *UNITS * len(rows)], *body, ["all", *_cells(rows, None)]]
    first, *widths = (max(map(len, column)) for column in zip(*lines, strict=True))
    blocks = [widths[i : i + len(UNITS)] for i in range(0, len(widths), len(UNITS))]
    head = "".join(
        f"   {part:^{sum(block) + len(UNITS) - 1}}"
        for part, block in zip(rows, blocks, strict=True)
    )
    text = [" " * first + head.rstrip()]
    for name, *cells in lines:
        line = f"{name:<{first}}"
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            line += ("  " if i % len(UNITS) == 0 else "") + f" {cell:>{width}}"
        text.append(line.rstrip())
    return "\n".join(text)


def few(rows: Mapping[Part, Rows], options: ModelOptions) -> str:
    """What has won where so little was to fine-tune a network on; "" where there is enough."""
    count = len(rows["train"])
    if count >= FEW or options.weights is None or options.finetune == "head":
        return ""
    return (
        f"{count:,} patches to fine-tune on: with so few, a probe of the frozen network's earlier "
        "layers was the better one (README, Few labelled patches)."
    )


def _cells(rows: Mapping[Part, Rows], label: int | None) -> list[str]:
    """Count the patches, slides and patients of a class (None: of all) in each split."""
    cells = []
    for mine in rows.values():
        index = np.flatnonzero(mine.labels == label) if label is not None else range(len(mine))
        cells.append(f"{len(index):,}")
        for ids in (mine.slide_ids, mine.patient_ids):
            named = {ids[i] for i in index} - {""}
            unknown = len(index) and not named
            cells.append(UNKNOWN if unknown else f"{len(named):,}")
    return cells
