"""Images of two splits that show the same tissue: named, pictured, refused unless allowed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import CohortError
from histocnn.models.rows import Rows
from histocnn.patches.copies import Copy, find_copies, take_prints
from histocnn.slides.geometry import Pixels

log = logging.getLogger(__name__)

SHOWN = 32  # pairs on the contact sheet
SHEET, TABLE = "copies.png", "copies.csv"


@dataclass(frozen=True, eq=False)
class Shared:
    """Copies across splits.

    Attributes:
        rows: All patches; copies are numbers of these.
        parts: [N], the split of each.
        copies: The pairs.
    """

    rows: Rows
    parts: NDArray[np.str_]
    copies: list[Copy]

    def pictures(self) -> list[tuple[Pixels, list[str]]]:
        """The first pairs, side by side, with what to say below each."""
        shown = []
        for copy in self.copies[:SHOWN]:
            for index, said in ((copy.first, ""), (copy.second, copy.orientation)):
                source = self.rows.sources[self.rows.source[index]]
                pixels = source.patch(int(self.rows.row[index]))
                name = Path(self.rows.name(index)).name
                shown.append((pixels, [name, f"{self.parts[index]} {said}"]))
        return shown

    def table(self) -> list[tuple[str, str, str, str, str, str]]:
        """A line per pair: names, splits, orientation, correlation."""
        return [
            (self.rows.name(c.first), str(self.parts[c.first]), self.rows.name(c.second),
             str(self.parts[c.second]), c.orientation, f"{c.correlation:.4f}")
            for c in self.copies
        ]  # fmt: skip

    def admit(self, *, allowed: bool) -> None:
        """Go on without copies, or with a warning where they are allowed.

        Raises:
            CohortError: There are some, and nobody allowed them.
        """
        if not self.copies:
            return
        copy, count = self.copies[0], len(self.copies)
        said = (
            f"{count} image{'s' * (count > 1)} of one split and of another show the same: "
            f"{self.rows.name(copy.first)} ({self.parts[copy.first]}) is "
            f"{self.rows.name(copy.second)} ({self.parts[copy.second]}) {copy.orientation}"
        )
        if not allowed:
            raise CohortError(
                said,
                f"{TABLE} and {SHEET} in the output folder have all: remove one of each, give "
                "both one patient, or go on with --data.allow_copies true.",
            )
        log.warning("%s; figures will be optimistic", said)


def find_shared(rows: Rows, parts: NDArray[np.str_]) -> Shared:
    """Compare the image files of different splits; patches of slides are not images of their own.

    Args:
        rows: The patches.
        parts: [N], the split of each.
    """
    images = np.flatnonzero([rows.sources[i].paths is not None for i in rows.source])

    def read(number: int) -> Pixels:
        index = images[number]
        pixels: Pixels = rows.sources[rows.source[index]].patch(int(rows.row[index]))
        return pixels

    groups = np.unique(parts[images], return_inverse=True)[1]
    pairs = find_copies(take_prints(read, len(images)), groups.astype(np.int64))
    copies = [
        Copy(int(images[c.first]), int(images[c.second]), c.orientation, c.bits, c.correlation)
        for c in pairs
    ]
    return Shared(rows, parts, copies)
