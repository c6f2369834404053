"""Score files by comparison with labelled features: what knn and probe share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from histocnn.cohort.fingerprints import check_same_slides
from histocnn.cohort.sheet import SlideEntry
from histocnn.cohort.whose import patients_of
from histocnn.errors import FeaturesError, PatchesError, StoreError
from histocnn.jobs import run as runs
from histocnn.jobs.ownership import check_apart
from histocnn.patches.patches import FilePatches, open_files
from histocnn.reference.apart import Exclude
from histocnn.reference.features import Features
from histocnn.reference.methods import Method
from histocnn.scores.query import open_query, write_query
from histocnn.storage.hashing import sha256

Explain = Callable[[Path, Features, Features, Mapping[str, NDArray[Any]]], list[str]]


def score_features(
    queries: Sequence[Path],
    out: Path,
    method: Method,
    *,
    source: Path | None = None,
    more: Mapping[str, Any] | None = None,
    explain: Explain | None = None,
    entries: Mapping[str, SlideEntry] | None = None,
) -> runs.Summary:
    """Write the scores of every feature file.

    Args:
        queries: Feature files.
        out: The folder for the score files.
        method: What gives the scores.
        source: The folder or file that the user gave as query.
        more: Of the recipe, beside method, reference and query.
        explain: Draws `explain(target, rows, examples, arrays)` beside a file's scores and returns
            notes; called before these are written, because a whole score file says "done".
        entries: Rows of slides.csv by slide id, which say whose a slide is.

    Raises:
        FeaturesError: Images of unknown µm/px would be compared with patches of slides.
        CohortError: A slide would be compared with itself under another patient's name.
        StoreError: As `jobs.run.run`.
    """
    check_apart(out, method.examples.files)
    patches, entries = open_files(queries), entries or {}
    opened = [*open_files(method.examples.files), *patches]
    everything = list({each.file: each for each in opened}.values())
    _check_scales(everything)
    _check_copies(everything, method.exclude, entries)
    told = _told(everything, entries)
    more = {**(more or {}), **({"patients": told} if told else {})}
    return runs.run(
        patches,
        out=out,
        command=method.name,
        source=source,
        recipe=partial(_recipe, method=method, more=more),
        work=partial(_score, method=method, explain=explain, entries=entries),
        files=runs.Files(beside=_sheet) if explain else runs.Files(),
    )


def _sheet(query: FilePatches, target: Path) -> list[Path]:
    """Where `pictures.neighbour_sheets` draws."""
    return [target.with_name(f"{target.stem}_neighbours.png")]


@contextmanager
def _looking(file: FilePatches) -> Iterator[None]:
    """Give back what was read; a file that is not whole fails alone, when it is scored."""
    with suppress(StoreError, PatchesError), closing(file):
        yield


def _told(files: Sequence[FilePatches], entries: Mapping[str, SlideEntry]) -> dict[str, str]:
    """The patients that slides.csv names otherwise than the files do; they decide scores, too."""
    pairs: set[tuple[str, str]] = set()
    for file in files if entries else ():
        with _looking(file):
            pairs |= set(zip(file.slide_ids, file.patient_ids, strict=True))
    known = ((slide, said, entries.get(slide)) for slide, said in sorted(pairs))
    return {s: e.patient_id for s, said, e in known if e and e.patient_id not in (None, said)}


def _check_scales(files: Sequence[FilePatches]) -> None:
    """Refuse images of unknown µm/px beside patches of slides whose scale is known.

    Raises:
        FeaturesError: Names one of either.
    """
    images, slides = [], []
    for file in files:
        with _looking(file):
            if "paths" in file.datasets and file.mpp is None:
                images.append(file)
            elif "coords" in file.datasets and file.mpp is not None:
                slides.append(file)
    if images and slides:
        raise FeaturesError(
            f"{images[0].file}: images of unknown µm/px, and {slides[0].file} patches at "
            f"{slides[0].mpp:g}",
            "Embed the images again with their --mpp.",
        )


def _check_copies(
    files: Sequence[FilePatches], exclude: Exclude, entries: Mapping[str, SlideEntry]
) -> None:
    """Refuse a slide under two names where its patient (slide, where unknown) is to be left out."""
    if exclude == "none":
        return
    sides = []
    for file in files:
        with _looking(file):
            if not file.slide_fingerprint or not len(file):
                continue
            slide, patient = file.slide_ids[0], ""
            if exclude == "patient":
                [patient] = patients_of([slide], file.patient_ids[:1], entries)
            side = f"patient {patient}" if patient else f"slide {slide}"
            sides.append((slide, file.slide_fingerprint, side))
    check_same_slides(sides)


def _recipe(query: FilePatches, *, method: Method, more: Mapping[str, Any]) -> dict[str, Any]:
    """The settings and the hashes of reference and query."""
    return {
        "stage": method.name,
        **method.options,
        "exclude": method.exclude,
        **more,
        "reference": method.examples.recipe,
        "query": sha256(query.file),
    }


def _score(
    query: FilePatches,
    target: Path,
    recipe: dict[str, Any],
    tick: runs.Tick,
    *,
    method: Method,
    explain: Explain | None,
    entries: Mapping[str, SlideEntry],
) -> dict[str, Any]:
    examples = method.examples
    rows = open_query(query, examples, entries)
    arrays = method.arrays(rows)
    notes = explain(target, rows, examples, arrays) if explain else []
    found = method.cover(rows, arrays)
    facts = write_query(target, query, rows, examples, arrays, recipe, method.exclude, found)
    facts["notes"] += [*notes, *method.notes, *([found.said] if found else [])]
    tick(facts["patches"], facts["patches"])
    return facts
