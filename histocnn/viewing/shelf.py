"""What a path holds, slide by slide, of which none is opened: a folder of 10,000 is listed at once.

A folder that a stage wrote, or one of such folders as run and demo leave; or slides alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from histocnn.cohort.sheet import SUFFIXES, SlideEntry, read_cohort
from histocnn.cohort.table import read_table
from histocnn.errors import CohortError, StoreError, UsageError
from histocnn.jobs.ledger import failures_in
from histocnn.storage import store
from histocnn.storage.ordinary import is_ordinary
from histocnn.viewing.taught_files import is_session

KINDS = ("scores", "features", "coords")  # what makes a file one of scores, features, grids
GRIDS = "coords"
_DEPTH = 2  # folders within folders that are looked into: demo/cnn/scores
_TABLE = "slides.csv"  # that heatmap writes
PLAIN = ("slide_id", "patches", "scored", "uncertain")  # of a row, that are no scores


@dataclass(frozen=True)
class Source:
    """A folder of files between stages.

    Attributes:
        name: The folder, as seen from the path that was given.
        kind: One of `KINDS`.
        folder: Where it is.
    """

    name: str
    kind: str
    folder: Path


@dataclass(frozen=True)
class Listed:
    """A slide, and what there is of it.

    Attributes:
        slide_id: Its id.
        files: Number of the source → its file of this slide.
        entry: Its row of slides.csv, or the slide itself; None where only the files know it.
        scores: Slide-level scores by name.
        failure: Why there is nothing of it, where a stage says so; else empty.
    """

    slide_id: str
    files: Mapping[int, Path] = field(default_factory=dict)
    entry: SlideEntry | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True)
class Shelf:
    """All slides of a path, in order of their ids.

    Attributes:
        title: What the page is called.
        sources: The folders of files, scores first.
        slides: The slides.
    """

    title: str
    sources: tuple[Source, ...]
    slides: tuple[Listed, ...]


def shelve(path: Path, slides: Path | None = None) -> Shelf:
    """List what there is.

    Args:
        path: A folder that a stage, run or demo wrote, one of its files, a slide, a folder of
            slides, or a slides.csv.
        slides: Where the slides are now, and their annotations: a slide, a folder or slides.csv.

    Raises:
        UsageError: There is nothing at the path.
        CohortError: It is no such thing, or as `read_cohort`.
        StoreError: The one file that is named is not one between stages.
    """
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder", "Check the path.")
    sources = tuple(_sources(path))
    entries = {} if slides is None else {each.slide_id: each for each in _cohort(slides)}
    if not sources:
        own = _cohort(path)
        known = [entries.get(each.slide_id, each) for each in own]
        alone = tuple(Listed(each.slide_id, entry=each) for each in known)
        return Shelf(path.resolve().name, (), alone)
    if slides is None:
        entries = _within(path)
    files: dict[str, dict[int, Path]] = {}
    for number, source in enumerate(sources):
        chosen = [path] if is_ordinary(path) else _of_slides(source.folder, path)
        for file in chosen:
            files.setdefault(file.stem, {})[number] = file
    failed = {i: why for i, why in _failures(path) if i not in files}
    ids = sorted({*files, *failed, *(entries if slides is not None else ())})
    scores = _slide_scores(path)
    listed = (
        Listed(i, files.get(i, {}), entries.get(i), scores.get(i, {}), failed.get(i, ""))
        for i in ids
    )
    return Shelf(path.resolve().name, sources, tuple(listed))


def _cohort(slides: Path) -> list[SlideEntry]:
    """Read the slides; who looks at them splits nothing."""
    return read_cohort(slides, allow_shared_patient=True)


def _sources(path: Path) -> Iterator[Source]:
    """Give the folders with files of places on slides: scores, features, then grids."""
    if is_ordinary(path):
        if path.suffix.lower() != ".csv" and path.suffix.lower() not in SUFFIXES:
            yield Source(path.parent.resolve().name, _kind(path, path) or GRIDS, path.parent)
        return
    found = []
    for folder in _folders(path):
        kind = _kind(next(iter(_of_slides(folder, path)), None))
        if kind is not None:
            name = folder.relative_to(path).as_posix()
            found.append(Source(path.resolve().name if name == "." else name, kind, folder))
    yield from sorted(found, key=lambda each: (KINDS.index(each.kind), each.name))


def _of_slides(folder: Path, path: Path) -> list[Path]:
    """The files of a folder, but for labels that `view --teach` left: those are no more slides.

    Where the path itself is a folder of nothing else, they are what is to be seen.
    """
    files = sorted(folder.glob("*.h5"))
    others = [file for file in files if not is_session(file.stem)]
    return others or (files if folder == path else [])


def _failures(path: Path) -> Iterator[tuple[str, str]]:
    """Slides of which a stage in the folder says that they failed, and why."""
    for folder in _folders(path) if path.is_dir() else ():
        for said in failures_in(folder):
            yield said["slide_id"], f"{said.get('command')} failed: {said.get('message')}"


def _folders(path: Path, depth: int = _DEPTH) -> Iterator[Path]:
    yield path
    try:
        inside = sorted(path.iterdir()) if depth else []
    except OSError:  # somebody else's, of which nothing can be shown
        inside = []
    for inner in inside:
        if inner.is_dir() and not inner.is_symlink() and not inner.name.startswith("."):
            yield from _folders(inner, depth - 1)


def _kind(file: Path | None, named: Path | None = None) -> str | None:
    """What a file is, by its datasets; None where it is of no slide.

    Raises:
        StoreError: It is the `named` one, and cannot be read.
    """
    if file is None:
        return None
    try:
        shapes = store.shapes(file)
    except StoreError:
        if named is not None:
            raise
        return GRIDS  # its own page says what is wrong with it
    return next((kind for kind in KINDS if kind in shapes and GRIDS in shapes), None)


def _within(path: Path) -> dict[str, SlideEntry]:
    """The slides of PATH/cohort/slides.csv, as demo has them, if all of them lie within the path.

    A folder may come from a stranger: its table leads to no other file of this machine.
    """
    table = path / "cohort" / _TABLE
    if not is_ordinary(table):
        return {}
    try:
        entries = _cohort(table)
    except CohortError:
        return {}
    named = (file for each in entries for file in (*each.inputs, each.tissue_path) if file)
    if not all(file.resolve().is_relative_to(path.resolve()) for file in named):
        return {}
    return {each.slide_id: each for each in entries}


def _slide_scores(path: Path) -> dict[str, dict[str, float]]:
    """Slide-level scores that heatmap wrote in, below or beside the path, by slide id."""
    places = [path, path / "heatmaps", *sorted(path.glob("*/heatmaps")), path.parent / "heatmaps"]
    for table in (place / _TABLE for place in places if place.is_dir()):
        try:
            rows = read_table(table, PLAIN[:3])
        except CohortError:
            continue
        return {row["slide_id"]: dict(_numbers(row.items())) for _, row in rows}
    return {}


def _numbers(values: Iterable[tuple[str, str]]) -> Iterator[tuple[str, float]]:
    for name, text in values:
        try:
            number = float(text)
        except ValueError:
            continue
        if name not in PLAIN and math.isfinite(number):
            yield name, number
