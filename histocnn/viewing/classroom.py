"""Teaching as the page does it: a session per slide, what it is told, what its map looks like."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from histocnn.errors import StoreError, UsageError
from histocnn.pages.viewer_values import steps
from histocnn.pictures import heat
from histocnn.pictures.palette import NOVELTY_MAP, SCORE_MAP, class_colours
from histocnn.viewing.layers import Values, coded_classes, grid_of
from histocnn.viewing.neighbour_map import TaughtMap
from histocnn.viewing.opened import Desk, Opened
from histocnn.viewing.suggesting import Rule
from histocnn.viewing.teaching import Teaching

OFFERED = 6  # places to look at next
_MARKED = 5_000  # labelled patches that are outlined


@dataclass(frozen=True)
class Lesson:
    """Where teaching goes.

    Attributes:
        folder: Of its files.
        who: Who teaches; part of their names.
        reference: Labelled features beside what is said.
    """

    folder: Path
    who: str = ""
    reference: Path | None = None


class Classroom:
    """The sessions of a viewer, one per slide, begun when somebody first teaches it.

    Args:
        desk: The slides.
        lesson: Where teaching goes.
    """

    def __init__(self, desk: Desk, lesson: Lesson) -> None:
        self.desk, self.lesson = desk, lesson
        self._sessions: dict[int, tuple[Teaching, threading.Lock]] = {}
        self._lock = threading.Lock()

    def state(self, number: int) -> dict[str, Any]:
        """What has been said of a slide and what the page needs to show it.

        Raises:
            StoreError: There are no features of the slide.
            HistocnnError: As `Teaching`.
        """
        session, lock = self._session(number)
        with lock:
            return self._said(number, session)

    def tell(self, number: int, said: Mapping[str, Any]) -> dict[str, Any]:
        """Label a patch at a point, patches by their rows or an outline; or take labels away.

        Args:
            number: Of the slide.
            said: `class` (a text, or None to take the label away), and `at` (x, y), `rows` or
                `outline` [[x, y], …], level-0 px.

        Returns:
            As `state`.

        Raises:
            UsageError: It is none of these, or as `Teaching.label`.
        """
        name, session, lock = said.get("class"), *self._session(number)
        if not (name is None or isinstance(name, str)):
            raise UsageError("a class is a text")
        with lock:
            if "outline" in said and name is not None:
                session.label_region(_points(said["outline"]), name)
            elif "at" in said:
                [point] = _points([said["at"]])
                row = session.row_at(*point)
                if row is None:
                    raise UsageError("there is no patch here", "Click on tissue that was tiled.")
                session.unlabel([row]) if name is None else session.label([row], name)
            elif (rows := said.get("rows")) and _are_rows(rows):
                session.unlabel(rows) if name is None else session.label(rows, name)
            else:
                raise UsageError("nothing was said", "Give a point, rows or an outline.")
            return self._said(number, session)

    def undo(self, number: int) -> dict[str, Any]:
        """Take back what was said last; as `state`."""
        session, lock = self._session(number)
        with lock:
            session.undo()
            return self._said(number, session)

    def save(self, number: int) -> dict[str, Any]:
        """Write the session's files; their names, and how many patches of each class.

        Raises:
            UsageError: Nothing is labelled.
            StoreError: They cannot be written.
        """
        session, lock = self._session(number)
        with lock:
            saved = session.save()
        return {
            "files": [saved.annotation.name, saved.reference.name],
            "folder": self.lesson.folder.name,
            "counts": saved.counts,
        }

    def suggest(self, number: int, rule: str) -> list[dict[str, Any]]:
        """Where to look next: rows and boxes.

        Raises:
            UsageError: There is no such rule.
        """
        session, lock = self._session(number)
        with lock:
            found = session.suggestions(cast(Rule, rule), OFFERED)
            return [
                {"row": each.row, "rule": each.rule, "value": each.value,
                 "box": session.boxes_l0[each.row].tolist()}
                for each in found
            ]  # fmt: skip

    def values(self, number: int, key: str) -> Values:
        """The cells of the taught map, as `layers.values_of`.

        Raises:
            StoreError: There is no map yet, or no such layer.
        """
        session, lock = self._session(number)
        with lock:
            taught = session.map
        if taught is None:
            raise StoreError("two classes must have an example first")
        opened = self.desk.opened(number)
        grid, _ = grid_of(opened, self.source(opened))
        if key == "classes":
            return coded_classes(grid.raster(taught.scores))
        if key == "uncertain":
            return steps(grid.raster(taught.uncertainty))
        if key == "novelty":
            return steps(grid.raster(taught.novelty) / 100)
        if key.startswith("s") and key[1:].isdecimal() and int(key[1:]) < len(taught.class_names):
            return steps(grid.raster(taught.scores[:, int(key[1:])]))
        raise StoreError(f"the map has no layer {key!r}")

    def source(self, opened: Opened) -> int:
        """The number of the source that holds a slide's features.

        Raises:
            StoreError: There is none.
        """
        for number, source in enumerate(self.desk.shelf.sources):
            if source.kind == "features" and number in opened.files:
                return number
        raise StoreError(
            f"{opened.listed.slide_id}: has no features here, which teaching needs",
            "Make them with histocnn embed, and give their folder.",
        )

    def _session(self, number: int) -> tuple[Teaching, threading.Lock]:
        with self._lock:
            if number not in self._sessions:
                opened = self.desk.opened(number)
                file = opened.files[self.source(opened)].file
                lesson = self.lesson
                session = Teaching(file, lesson.folder, lesson.who, lesson.reference)
                self._sessions[number] = session, threading.Lock()
            return self._sessions[number]

    def _said(self, number: int, session: Teaching) -> dict[str, Any]:
        opened = self.desk.opened(number)
        source = self.source(opened)
        grid, smooth = grid_of(opened, source)
        placed = {"shape": list(grid.shape), "stride": list(grid.stride_l0), "smooth": smooth}
        names, labels = list(session.class_names), session.labels
        own = np.flatnonzero(labels >= 0)
        colours = class_colours(names).tolist()
        of = {name: place for place, name in enumerate(names)}
        counts = np.bincount(labels[own], minlength=len(session.taught)).tolist()
        taught = dict(zip(session.taught, counts, strict=True))
        marked = own[-_MARKED:]
        return {
            "source": source,
            "classes": [
                {"name": name, "colour": colour, "count": taught.get(name, 0)}
                for name, colour in zip(names, colours, strict=True)
            ],
            "marks": {
                "boxes": session.boxes_l0[marked].tolist(),
                "classes": [of[session.taught[label]] for label in labels[marked].tolist()],
            },
            "settled": [[each.labelled, each.changed, each.moved] for each in session.settled],
            "layers": _layers(session.map, dict(zip(names, colours, strict=True)), placed),
            "acts": len(session.settled),
        }


def _layers(
    taught: TaughtMap | None, colours: Mapping[str, Sequence[int]], placed: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The layers of a taught map, as the page wants them."""
    if taught is None:
        return []
    names = taught.class_names
    shares = {"map": SCORE_MAP, "opacity": heat.OPACITY.tolist(), "points": []}
    found: list[tuple[str, str, str, dict[str, Any]]] = [
        ("classes", "taught: most likely class", "classes",
         {"names": names, "colours": [list(colours[name]) for name in names],
          "chance": 1 / len(names), "opacity": heat.CLASS_OPACITY}),
        *((f"s{place}", f"taught: probability of {name}", "map", shares)
          for place, name in enumerate(names)),
        ("uncertain", "taught: uncertainty", "map", shares),
        ("novelty", "taught: novelty", "map",
         {"map": NOVELTY_MAP, "opacity": heat.NOVELTY_OPACITY.tolist(), "points": []}),
    ]  # fmt: skip
    return [
        {"source": "taught", "key": key, "title": title, "kind": kind, "facts": {**placed, **facts}}
        for key, title, kind, facts in found
    ]


def _are_rows(said: Any) -> bool:
    return isinstance(said, list) and all(type(row) is int for row in said)


def _points(said: Any) -> list[tuple[float, float]]:
    """Points as somebody sent them.

    Raises:
        UsageError: They are none.
    """
    try:
        return [(float(x), float(y)) for x, y in said]
    except (TypeError, ValueError) as error:
        raise UsageError("a point is two numbers, x and y") from error
