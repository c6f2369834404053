"""Hard examples: what `mine` lists comes into training once more."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from histocnn.cohort.table import read_table
from histocnn.errors import PatchesError
from histocnn.models.rows import Rows

Key = tuple[str, ...]


def with_hard(train: Rows, listed: Path) -> Rows:
    """The training rows, and those that a list of `histocnn mine` names once more.

    A patch of a slide is found by slide and place, an image by its path, because score files may
    hold other rows than the patches that are trained on.

    Raises:
        CohortError: The list is no such table.
        PatchesError: It names patches that are not in the training split.
    """
    places = {_key_of(train, index): index for index in range(len(train))}
    wanted = [
        (line, ("path", row["path"]) if row["path"] else (row["slide_id"], row["x"], row["y"]))
        for line, row in read_table(listed, ["slide_id", "path", "x", "y"])
    ]
    strangers = [f"line {line}: {' '.join(key)}" for line, key in wanted if key not in places]
    if strangers:
        raise PatchesError(
            f"{listed}: {len(strangers)} of {len(wanted)} patches are not in the training split "
            f"({strangers[0]})",
            "Mine the errors of this split's training slides only.",
        )
    again = np.array([places[key] for _, key in wanted], np.int64)
    return train.take(np.concatenate([np.arange(len(train)), again]))


def _key_of(rows: Rows, index: int) -> Key:
    source, row = rows.sources[rows.source[index]], int(rows.row[index])
    if source.paths is not None:
        return "path", source.paths[row]
    assert source.coords is not None  # noqa: S101 - a source has paths or coords
    x, y = source.coords[row]
    return rows.slide_ids[index], str(x), str(y)
