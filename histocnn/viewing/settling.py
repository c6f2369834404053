"""How a map settles while labels are given: what each act changed of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histocnn.patches.classes import renumber
from histocnn.viewing.neighbour_map import TaughtMap


@dataclass(frozen=True)
class Step:
    """What an act changed.

    Attributes:
        labelled: Patches with a label after it.
        changed: Share of the patches whose most likely class is another than before; None where
            there was no map before or is none after.
        moved: Mean change of a patch's scores, 0 to 1 (half the sum over classes of the absolute
            differences, the total variation); None as `changed`.
    """

    labelled: int
    changed: float | None
    moved: float | None


def step(before: TaughtMap | None, after: TaughtMap | None, labelled: int) -> Step:
    """Compare two maps of the same patches; classes are matched by name, a new one had score 0."""
    if before is None or after is None:
        return Step(labelled, None, None)
    names = tuple(dict.fromkeys((*before.class_names, *after.class_names)))
    called = [renumber(each.called, each.class_names, names) for each in (before, after)]
    scored = (called[0] >= 0) & (called[1] >= 0)
    if not scored.any():
        return Step(labelled, None, None)
    apart = np.abs(_spread(after, names)[scored] - _spread(before, names)[scored])
    return Step(
        labelled,
        float((called[0] != called[1])[scored].mean()),
        float(apart.sum(axis=1).mean() / 2),
    )


def _spread(taught: TaughtMap, names: tuple[str, ...]) -> NDArray[np.float32]:
    """Scores with a column per name; 0 for a class that the map does not know."""
    spread = np.zeros((len(taught.scores), len(names)), np.float32)
    spread[:, [names.index(name) for name in taught.class_names]] = taught.scores
    return spread
