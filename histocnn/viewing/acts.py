"""What somebody taught, act by act: which patches got which class, and what of it still holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from histocnn.errors import UsageError
from histocnn.patches.labels import covered_area
from histocnn.regions.annotation_formats import FARTHEST_L0, MOST_CROSSINGS
from histocnn.regions.annotations import EXCLUSION
from histocnn.regions.crossings import count_crossings

Int: TypeAlias = NDArray[np.int64]
Boxes: TypeAlias = NDArray[np.float64]

UNKNOWN = -1
MOST_SIGNS = 64  # of a class's name
MOST_POINTS = 100_000  # of an outline
COVERED = 0.5  # least share of a patch within a region that gives it the region's class


@dataclass(frozen=True, eq=False)
class Act:
    """One thing that was said.

    Attributes:
        rows: int64 [n], the patches it is about.
        class_name: What they are; None: their labels are taken away.
        region: The polygon that was drawn, level-0 px; None where patches were picked.
    """

    rows: Int
    class_name: str | None
    region: BaseGeometry | None = None


def checked_name(name: str) -> str:
    r"""A class's name as it is kept, without space around it; it is text and never markup.

    Raises:
        UsageError: It is empty, too long, has signs that no screen shows, or means something else.

    >>> checked_name("  tumour <b> ")
    'tumour <b>'
    """
    kept = name.strip()
    if not kept or len(kept) > MOST_SIGNS:
        raise UsageError(
            f"a class's name of {len(kept)} signs", f"Use 1 to {MOST_SIGNS} letters or digits."
        )
    if not kept.isprintable():  # control characters, line ends, halves of a sign
        raise UsageError(
            f"the class's name {kept!a} has signs that no screen shows", "Leave them out."
        )
    if kept == EXCLUSION:
        raise UsageError(
            f"{EXCLUSION!r} is no class: annotations call so what patches may not touch",
            "Use another name.",
        )
    return kept


def checked_region(points_l0: Sequence[Sequence[float]]) -> BaseGeometry:
    """The area within an outline of (x, y) points, level-0 px; what crosses itself is repaired.

    Raises:
        UsageError: It is no outline of an area.
    """
    remedy = "Draw around the patches."
    if not 3 <= len(points_l0) <= MOST_POINTS:
        raise UsageError(f"an outline of {len(points_l0)} points", remedy)
    try:
        points = np.asarray(points_l0, np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError("an outline whose points are no numbers", remedy) from error
    if points.ndim != 2 or points.shape[1] != 2 or not (np.abs(points) <= FARTHEST_L0).all():
        raise UsageError("an outline whose points are not (x, y) on a slide", remedy)
    drawn: BaseGeometry = shapely.Polygon(points)
    if not drawn.is_valid:
        if count_crossings([points], MOST_CROSSINGS) > MOST_CROSSINGS:  # minutes to repair
            raise UsageError(
                f"an outline that crosses itself more than {MOST_CROSSINGS:,} times", remedy
            )
        drawn = shapely.make_valid(drawn, method="structure", keep_collapsed=False)
    if not drawn.area:
        raise UsageError("an outline without an area", remedy)
    return drawn


def rows_in(region: BaseGeometry, boxes_l0: Boxes) -> Int:
    """The patches of which a region covers at least half, as int64 [n].

    Raises:
        UsageError: There is none.
    """
    sides = boxes_l0[:, 2:] - boxes_l0[:, :2]
    rows = np.flatnonzero(covered_area(region, boxes_l0) >= COVERED * sides.prod(axis=1))
    if not len(rows):
        raise UsageError("the region covers no patch by half", "Draw it larger, or pick patches.")
    return rows


def row_at(x_l0: float, y_l0: float, boxes_l0: Boxes) -> int | None:
    """The patch whose centre is nearest among those that cover a point; None on bare glass."""
    point = np.array([x_l0, y_l0])
    inside = ((boxes_l0[:, :2] <= point) & (point < boxes_l0[:, 2:])).all(axis=1)
    rows = np.flatnonzero(inside)
    if not len(rows):
        return None
    centres = (boxes_l0[rows, :2] + boxes_l0[rows, 2:]) / 2
    return int(rows[np.square(centres - point).sum(axis=1).argmin()])


def names_of(acts: Iterable[Act]) -> tuple[str, ...]:
    """The classes in the order in which they were first named."""
    return tuple(dict.fromkeys(act.class_name for act in acts if act.class_name is not None))


def labels_of(acts: Sequence[Act], names: Sequence[str], count: int) -> Int:
    """What holds after all acts: int64 [count] into `names`, `UNKNOWN` where nothing does."""
    labels = np.full(count, UNKNOWN, np.int64)
    for act in acts:
        labels[act.rows] = UNKNOWN if act.class_name is None else names.index(act.class_name)
    return labels


def areas_of(acts: Sequence[Act], boxes_l0: Boxes) -> list[tuple[str, BaseGeometry]]:
    """What was drawn or picked, as class and area in level-0 px; a later act is cut out of earlier.

    Args:
        acts: In their order.
        boxes_l0: float64 [N, 4], footprints of the patches.
    """
    kept: list[tuple[str, BaseGeometry]] = []
    above: BaseGeometry = shapely.Polygon()
    for act in reversed(acts):
        squares = np.asarray(shapely.box(*boxes_l0[act.rows].T), dtype=object)
        parts = [act.region] if act.region is not None else list(squares)
        if act.class_name is not None:
            for part in parts:
                seen = part.difference(above) if part.intersects(above) else part
                if seen.area:
                    kept.append((act.class_name, seen))
        above = shapely.union_all([above, *parts])
    return kept[::-1]
