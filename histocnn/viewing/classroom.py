"""Teaching as the page does it: a session per slide, what it is told, what its map looks like."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import HistocnnError, StoreError, UsageError
from histocnn.pages.viewer_values import steps
from histocnn.pictures.palette import class_colours
from histocnn.scores.scored import ScoredSlide
from histocnn.viewing.layers import Layer, Values, grid_of, of_scores, placed, score_values
from histocnn.viewing.neighbour_map import TaughtMap
from histocnn.viewing.opened import Desk, Opened
from histocnn.viewing.suggesting import Rule
from histocnn.viewing.taught_files import Saved
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


@dataclass
class _Session:
    """A slide's session.

    Attributes:
        teaching: What was said of the slide.
        turns: How many acts and undos there were.
        saved: At which turn its files were written.
    """

    teaching: Teaching
    turns: int = 0
    saved: int = 0

    @property
    def unsaved(self) -> bool:
        """Whether there are labels that its files do not have."""
        return self.saved != self.turns and bool((self.teaching.labels >= 0).any())

    def save(self) -> Saved:
        """Write its files; as `Teaching.save`."""
        saved, self.saved = self.teaching.save(), self.turns
        return saved


class Classroom:
    """The sessions of a viewer, one per slide, begun when somebody first teaches it.

    All windows share them. A session that nothing was said in is let go when another begins.

    Args:
        desk: The slides.
        lesson: Where teaching goes.
    """

    def __init__(self, desk: Desk, lesson: Lesson) -> None:
        self.desk, self.lesson = desk, lesson
        self._sessions: dict[int, _Session] = {}
        self._lock = threading.Lock()

    def state(self, number: int) -> dict[str, Any]:
        """What has been said of a slide and what the page needs to show it.

        Raises:
            StoreError: There are no features of the slide.
            HistocnnError: As `Teaching`.
        """
        with self._lock:
            return self._said(number, self._session(number))

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
        name = said.get("class")
        if not (name is None or isinstance(name, str)):
            raise UsageError("a class is a text")
        with self._lock:
            session = self._session(number)
            _tell(session.teaching, name, said)
            session.turns += 1
            return self._said(number, session)

    def undo(self, number: int, turns: Any) -> dict[str, Any]:
        """Take back what was said last, if whoever asks knows it.

        Args:
            number: Of the slide.
            turns: How many turns the page knows of. If there were others, in another window,
                nothing is taken back.

        Returns:
            As `state`; with a `note` where nothing was taken back.
        """
        with self._lock:
            session = self._session(number)
            if turns != session.turns:
                note = "Another window has taught this slide meanwhile: this is what it said."
                return {**self._said(number, session), "note": note}
            session.turns += session.teaching.undo()
            return self._said(number, session)

    def save(self, number: int) -> dict[str, Any]:
        """Write the session's files; their names, and how many patches of each class.

        Raises:
            UsageError: Nothing is labelled.
            StoreError: They cannot be written.
        """
        with self._lock:
            saved = self._session(number).save()
        return {
            "files": [saved.annotation.name, saved.reference.name],
            "folder": self.lesson.folder.name,
            "counts": saved.counts,
        }

    def close(self) -> list[str]:
        """Save what nobody saved; what was saved or could not be, for people."""
        told = []
        with self._lock:
            unsaved = {n: each for n, each in self._sessions.items() if each.unsaved}
            for number, session in unsaved.items():
                slide_id = self.desk.shelf.slides[number].slide_id
                try:
                    told.append(f"{slide_id}: its labels are saved in {session.save().reference}")
                except HistocnnError as error:
                    told.append(f"{slide_id}: its labels are lost: {error}")
        return told

    def suggest(self, number: int, rule: str) -> list[dict[str, Any]]:
        """Where to look next: rows and boxes.

        Raises:
            UsageError: There is no such rule.
        """
        with self._lock:
            session = self._session(number).teaching
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
        with self._lock:
            taught = self._session(number).teaching.map
        if taught is None:
            raise StoreError("two classes must have an example first")
        slide = self._as_scores(number, taught)
        if key == "uncertain":
            return steps(slide.grid.raster(taught.uncertainty))
        return score_values(slide, key)

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

    def _session(self, number: int) -> _Session:
        """The session of a slide; whoever asks holds the lock."""
        if number not in self._sessions:
            opened = self.desk.opened(number)
            file = opened.files[self.source(opened)].file
            self._sessions = {n: each for n, each in self._sessions.items() if each.turns}
            lesson = self.lesson
            session = Teaching(file, lesson.folder, lesson.who, lesson.reference)
            self._sessions[number] = _Session(session)
        return self._sessions[number]

    def _as_scores(self, number: int, taught: TaughtMap) -> ScoredSlide:
        """A map like the scores of a slide."""
        opened = self.desk.opened(number)
        grid, _ = grid_of(opened, self.source(opened))
        return ScoredSlide(
            opened.listed.slide_id, grid, taught.scores, taught.class_names, taught.novelty
        )

    def _said(self, number: int, session: _Session) -> dict[str, Any]:
        teaching, source = session.teaching, self.source(self.desk.opened(number))
        names, labels = list(teaching.class_names), teaching.labels
        own = np.flatnonzero(labels >= 0)
        colours = class_colours(names)
        of = {name: place for place, name in enumerate(names)}
        counts = np.bincount(labels[own], minlength=len(teaching.taught)).tolist()
        taught = dict(zip(teaching.taught, counts, strict=True))
        marked = own[-_MARKED:]
        layers: list[Layer] = []
        if teaching.map is not None:
            slide = self._as_scores(number, teaching.map)
            layers = _layers(slide, colours[[of[name] for name in slide.class_names]])
        return {
            "source": source,
            "features": self.desk.shelf.sources[source].name,
            "classes": [
                {"name": name, "colour": colour, "count": taught.get(name, 0)}
                for name, colour in zip(names, colours.tolist(), strict=True)
            ],
            "marks": {
                "boxes": teaching.boxes_l0[marked].tolist(),
                "classes": [of[teaching.taught[label]] for label in labels[marked].tolist()],
            },
            "settled": [[each.labelled, each.changed, each.moved] for each in teaching.settled],
            "layers": [asdict(each) for each in layers],
            "acts": len(teaching.settled),
            "turns": session.turns,
            "unsaved": session.unsaved,
        }


def _tell(session: Teaching, name: str | None, said: Mapping[str, Any]) -> None:
    """Label what is said, or take its labels away; as `Classroom.tell`."""
    if "outline" in said and name is not None:
        session.label_region(_points(said["outline"]), name)
        return
    rows = said.get("rows")
    if "at" in said:
        [point] = _points([said["at"]])
        row = session.row_at(*point)
        if row is None:
            raise UsageError("there is no patch here", "Click on tissue that was tiled.")
        rows = [row]
    if not (rows and _are_rows(rows)):
        raise UsageError("nothing was said", "Give a point, rows or an outline.")
    session.unlabel(rows) if name is None else session.label(rows, name)


def _layers(slide: ScoredSlide, colours: NDArray[np.uint8]) -> list[Layer]:
    """The layers of a taught map, as those of scores; classes have these colours [C, 3]."""
    found = of_scores("taught", slide, colours)
    like = next(each for each in found if each.key == "s0")
    facts = {**like.facts, "points": []}
    found.insert(-1, replace(like, key="uncertain", title="uncertainty", facts=facts))
    found = [replace(each, title=f"taught: {each.title}") for each in found]
    return placed(found, slide.grid, smooth=False)


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
