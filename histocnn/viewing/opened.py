"""A slide that somebody looks at: its pixels, its frame, and the files that were made of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from histocnn.errors import HistocnnError, PatchesError, ResolutionError, StoreError
from histocnn.patches.patches import FilePatches
from histocnn.scores.scored import ScoredSlide, read_scored
from histocnn.slides.slide import Slide
from histocnn.storage import store
from histocnn.viewing.frame import Frame, frame_of
from histocnn.viewing.shelf import Listed, Shelf

MOST_OPEN = 6  # slides; their scores stay in memory


@dataclass(eq=False)
class Opened:
    """A slide and its files.

    Attributes:
        listed: What the shelf says of it.
        slide: Its pixels.
        frame: The page's frame of it.
        files: Number of the source → its file, those that are of this slide.
        refused: Number of the source → why its file is not shown.
    """

    listed: Listed
    slide: Slide
    frame: Frame
    files: Mapping[int, FilePatches]
    refused: Mapping[int, str]
    _scored: dict[int, ScoredSlide] = field(default_factory=dict)
    _held: dict[Any, Any] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def scored(self, source: int) -> ScoredSlide:
        """The scores of a source.

        Raises:
            StoreError: It has none, or they cannot be placed.
        """
        with self._lock:
            if source not in self._scored:
                self._scored[source] = read_scored(self.file(source).file)
            return self._scored[source]

    def file(self, source: int) -> FilePatches:
        """The file of a source.

        Raises:
            StoreError: There is none of this slide.
        """
        if source not in self.files:
            reason = self.refused.get(source, "there is no such file of this slide")
            raise StoreError(f"{self.listed.slide_id}: {reason}")
        return self.files[source]

    def has_scores(self, source: int) -> bool:
        """Whether the file of a source holds scores.

        Raises:
            StoreError: There is none of this slide.
        """
        file = self.file(source).file
        return bool(self.once(("scores?", source), lambda: "scores" in store.shapes(file)))

    def once(self, key: Any, make: Any) -> Any:
        """What `make` gave the first time that it was asked for under this key."""
        with self._lock:
            if key not in self._held:
                self._held[key] = make()
            return self._held[key]

    def close(self) -> None:
        """Give back files; who reads now reads on."""
        for file in self.files.values():
            file.close()
        self.slide.close()


def open_listed(listed: Listed) -> Opened:
    """Open a slide, and check that its files are of it.

    The pixels are those of slides.csv; else those that the first file names whose slide is there,
    if their fingerprint is what the file says. A file whose slide has another fingerprint is not
    laid over it.

    Raises:
        HistocnnError: The slide is not there, or cannot be opened, and what to do.
    """
    patches = {n: FilePatches(file, listed.entry) for n, file in listed.files.items()}
    kept, refused, slide = dict[int, FilePatches](), dict[int, str](), None
    first: HistocnnError | None = None
    for number, each in patches.items():
        try:
            slide = slide or each.slide
            if each.slide.fingerprint != slide.fingerprint:
                raise PatchesError(
                    f"{each.file}: is of {each.slide.path}, another slide of this id",
                    "Look at its folder alone.",
                )
            kept[number] = each
        except HistocnnError as error:
            refused[number], first = str(error), first or error
    if slide is None and listed.entry is not None:
        slide = Slide(listed.entry.slide_path, mpp=listed.entry.mpp)
    if slide is None:
        reason = listed.failure or "nothing is known of it"
        raise first or PatchesError(f"{listed.slide_id}: {reason}")
    shown, frame = readable(slide)
    return Opened(listed, shown, frame, kept, refused)


def readable(slide: Slide) -> tuple[Slide, Frame]:
    """A slide that is read at any scale, and its frame; without a scale its pixels are square.

    >>> slide, frame = readable(Slide("demo/cohort/slides/phantom_01.tif"))
    >>> frame.known, frame.size_px
    (True, (1024.0, 1024.0))
    """
    try:
        return slide, frame_of(slide)
    except ResolutionError:
        square = Slide(slide.path, mpp=1.0)
        return square, Frame(square.size_l0, (1.0, 1.0), known=False)


class Desk:
    """The slides that are open: as many as `MOST_OPEN`, those that were asked for last.

    Args:
        shelf: All slides.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._open: OrderedDict[int, Opened] = OrderedDict()
        self._lock = threading.Lock()
        self._opening: dict[int, threading.Lock] = {}
        self._numbers = {each.slide_id: n for n, each in enumerate(shelf.slides)}

    def opened(self, number: int) -> Opened:
        """The slide of a number, opened once however many ask at a time.

        Raises:
            HistocnnError: As `open_listed`; the slide is tried again when asked for again.
            IndexError: There is no such slide.
        """
        with self._lock:
            if number in self._open:
                self._open.move_to_end(number)
                return self._open[number]
            own = self._opening.setdefault(number, threading.Lock())
        with own:
            with self._lock:
                if number in self._open:
                    return self._open[number]
            found = open_listed(self.shelf.slides[number])
            with self._lock:
                self._open[number] = found
                self._opening.pop(number, None)
                left = [self._open.popitem(last=False)[1] for _ in range(self._surplus())]
        for each in left:
            each.close()
        return found

    def _surplus(self) -> int:
        return max(0, len(self._open) - MOST_OPEN)

    def number_of(self, slide_id: str) -> int | None:
        """The number of a slide by its id; None where the shelf has none."""
        return self._numbers.get(slide_id)

    def close(self) -> None:
        """Give back all slides."""
        with self._lock:
            left, self._open = list(self._open.values()), OrderedDict()
        for each in left:
            each.close()
