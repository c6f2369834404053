"""A session of teaching: labels by clicks and outlines, and at once what they make of the slide.

A session belongs to one person and one slide and is not safe under threads: whoever serves it to
several requests holds a lock around each call.

    teaching = Teaching(Path("features/a.h5"), folder=Path("taught"), who="ana")
    teaching.label_at(400, 500, "tumour")
    teaching.label_region([(600, 600), (1800, 600), (1800, 1800)], "stroma")
    teaching.map.scores                 # float32 [N, C], a row per patch of the file
    teaching.suggestions("combined", 5)
    teaching.undo()
    teaching.save()
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import UsageError
from histocnn.patches import door
from histocnn.patches.patches import FilePatches
from histocnn.reference.features import Features, feature_files, load
from histocnn.reference.neighbours import Knn
from histocnn.scores.scorefile import ScoreFile
from histocnn.storage import store
from histocnn.viewing import acts, settling
from histocnn.viewing.neighbour_map import Neighbour, NeighbourMap, TaughtMap
from histocnn.viewing.suggesting import Rule, Suggester, Suggestion
from histocnn.viewing.taught_files import Saved, Taught, TaughtFiles

Int: TypeAlias = NDArray[np.int64]


class Teaching:
    """Labels of one slide as they come, and the k-NN map that follows.

    Args:
        file: The slide's features, as `embed` wrote them.
        folder: Where the session's files go; made when the first is written.
        who: Who teaches, part of the files' names: letters, digits, - and _.
        reference: A folder of labelled features (or one file) beside the session's own labels:
            another cohort's, or what earlier sessions saved.
        knn: How neighbours are found and counted.

    Attributes:
        boxes_l0: float64 [N, 4], minx, miny, maxx, maxy of each patch, level-0 px.

    Raises:
        FeaturesError: No features, or a reference without labels or made another way.
        StoreError: A file is not whole, or its patches have no place on a slide.
        UsageError: `who` is no such name.
    """

    def __init__(
        self,
        file: Path,
        folder: Path,
        who: str = "",
        reference: Path | None = None,
        knn: Knn | None = None,
    ) -> None:
        self.file = file
        features = load([file])
        examples = None if reference is None else load(feature_files(reference))
        placed = ScoreFile(file, door.attributes(file), store.shapes(file), ())
        self.boxes_l0 = placed.boxes_l0()
        self._size_l0 = placed.size_l0
        self._acts: list[acts.Act] = []
        self._settled: list[settling.Step] = []
        self._neighbours = NeighbourMap(features, len(self.boxes_l0), examples, knn)
        self._suggester = Suggester(
            self._neighbours.points, features.row, self.boxes_l0, self._neighbours.knn
        )
        self._files = TaughtFiles(folder, FilePatches(file), who)
        self._map = self._drawn()

    @property
    def session(self) -> str:
        """The session's random id, part of its files' names."""
        return self._files.session

    @property
    def reference(self) -> Features | None:
        """The labelled rows beside the session's own."""
        return self._neighbours.reference

    @property
    def taught(self) -> tuple[str, ...]:
        """The classes that this session named, in the order in which it did."""
        return acts.names_of(self._acts)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the reference, then those that only the session named."""
        return self._neighbours.names(self.taught)

    @property
    def labels(self) -> Int:
        """int64 [N] into `taught`, -1 where the session said nothing."""
        return acts.labels_of(self._acts, self.taught, len(self.boxes_l0))

    @property
    def map(self) -> TaughtMap | None:
        """The slide as the labels have it; None until two classes have an example."""
        return self._map

    @property
    def settled(self) -> tuple[settling.Step, ...]:
        """What each act changed of the map, first to last: the curve of how it settles."""
        return tuple(self._settled)

    def row_at(self, x_l0: float, y_l0: float) -> int | None:
        """The patch at a point of the slide (level-0 px); None where there is none."""
        return acts.row_at(x_l0, y_l0, self.boxes_l0)

    def label(self, rows: Sequence[int], class_name: str) -> Int:
        """Give patches a class, a new one or one that is there.

        Args:
            rows: Of the slide's file.
            class_name: Text; space around it is left out.

        Returns:
            The rows, each once.

        Raises:
            UsageError: The name cannot be a class's; there is no such row, or it has no features.
        """
        name = acts.checked_name(class_name)
        return self._act(acts.Act(self._checked(rows), name))

    def label_at(self, x_l0: float, y_l0: float, class_name: str) -> Int:
        """Give the patch at a point (level-0 px) a class; as `label`, UsageError on bare glass."""
        row = self.row_at(x_l0, y_l0)
        if row is None:
            raise UsageError(
                f"there is no patch at ({x_l0:.0f}, {y_l0:.0f})", "Click on tissue that was tiled."
            )
        return self.label([row], class_name)

    def label_region(self, points_l0: Sequence[Sequence[float]], class_name: str) -> Int:
        """Give the patches that an outline covers by half or more a class; as `label`.

        Args:
            points_l0: (x, y) of its corners, level-0 px; the last is joined to the first.
            class_name: As for `label`.
        """
        name = acts.checked_name(class_name)
        region = acts.checked_region(points_l0)
        rows = acts.rows_in(region, self.boxes_l0)
        rows = rows[self._neighbours.readable[rows]]
        return self._act(acts.Act(self._checked(rows), name, region))

    def unlabel(self, rows: Sequence[int]) -> Int:
        """Take the session's labels away from patches; as `label`."""
        return self._act(acts.Act(self._checked(rows), None))

    def undo(self) -> bool:
        """Take back the last act that still holds; False where there is none."""
        if not self._acts:
            return False
        self._acts.pop()
        self._settled.pop()
        self._map = self._drawn()  # old maps are not kept: a million patches have large ones
        return True

    def suggestions(self, rule: Rule = "combined", count: int = 5) -> list[Suggestion]:
        """Where to look next, best first; see `suggesting`. UsageError: there is no such rule."""
        return self._suggester.suggest(
            rule, count, self.map, self._neighbours.nearest(), self.labels
        )

    def neighbours(self, row: int) -> list[Neighbour]:
        """The examples that decided a patch, nearest first."""
        [row] = self._checked([row]).tolist()
        return self._neighbours.neighbours(row, self.labels, self.taught)

    def save(self) -> Saved:
        """Write the session's labels; see `taught_files`.

        Raises:
            UsageError: Nothing is labelled.
            StoreError: They cannot be written.
        """
        areas = acts.areas_of(self._acts, self.boxes_l0)
        return self._files.save(Taught(self.labels, self.taught, areas, self._size_l0))

    def _checked(self, rows: Sequence[int] | Int) -> Int:
        try:
            found = np.unique(np.asarray(rows, np.int64))
        except (TypeError, ValueError, OverflowError) as error:
            raise UsageError("rows that are no whole numbers", "Choose a patch.") from error
        if not len(found) or found[0] < 0 or found[-1] >= len(self.boxes_l0):
            raise UsageError(
                f"rows {list(rows)[:3]} of {len(self.boxes_l0)} patches", "Choose a patch."
            )
        unread = found[~self._neighbours.readable[found]]
        if len(unread):
            raise UsageError(
                f"patch {unread[0]} could not be read and has no features", "Choose another."
            )
        return found

    def _act(self, act: acts.Act) -> Int:
        self._acts.append(act)
        before, self._map = self._map, self._drawn()
        labelled = int((self.labels >= 0).sum())
        self._settled.append(settling.step(before, self._map, labelled))
        return act.rows

    def _drawn(self) -> TaughtMap | None:
        return self._neighbours.map(self.labels, self.taught)
