"""Matching classes by name, the one rule: a class index means nothing outside its file.

>>> renumber(np.array([0, 1, -1]), ["tumour", "normal"], ["normal", "stroma", "tumour"]).tolist()
[2, 0, -1]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1


def renumber(
    labels: NDArray[np.integer], names: Sequence[str], among: Sequence[str]
) -> NDArray[np.int64]:
    """Labels that point into `names` as labels that point into `among`.

    Args:
        labels: int [...], index into `names`, -1 unknown.
        names: The classes that `labels` mean.
        among: The classes that the result means.

    Returns:
        int64 [...], index into `among`; -1 where unknown, or where `among` has no such class.
    """
    place = {name: index for index, name in enumerate(among)}
    index = np.array([*(place.get(name, UNKNOWN) for name in names), UNKNOWN], np.int64)
    return np.asarray(index[labels])


def recolumn(
    scores: NDArray[np.float32], names: Sequence[str], among: Sequence[str]
) -> NDArray[np.float32]:
    """A score per class of `names` as a score per class of `among`.

    Columns of one name are added up: several classes of a model may stand for one of the truth. A
    row that holds a NaN was not scored and stays so in every column.

    Args:
        scores: float32 [N, len(names)].
        names: The class of each column; may repeat.
        among: The classes of the result, each of them in `names`.

    Returns:
        float32 [N, len(among)].

    Raises:
        ValueError: The two do not name the same classes, so a score would be lost or made up.
    """
    if set(names) != set(among):
        raise ValueError(f"scores of {', '.join(names)} are no scores of {', '.join(among)}")
    place = {name: index for index, name in enumerate(among)}
    result = np.zeros((len(scores), len(among)), np.float32)
    for column, name in enumerate(names):
        result[:, place[name]] += scores[:, column]
    result[np.isnan(scores).any(axis=1)] = np.nan
    return result


def used(labels: NDArray[np.integer], names: Sequence[str]) -> set[str]:
    """The classes that at least one label points at."""
    return {names[index] for index in np.unique(labels[labels >= 0])}
