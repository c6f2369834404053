"""slides.csv, or a folder or a slide in its place: which slides, whose, and in which split."""

from __future__ import annotations

import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from histocnn.cohort.table import read_table, separator_of
from histocnn.errors import CohortError
from histocnn.storage.ordinary import is_ordinary

SUFFIXES = (
    *(".svs", ".tif", ".tiff", ".ndpi", ".scn", ".mrxs", ".bif", ".vms", ".vmu", ".dcm"),
    *(".svslide", ".czi", ".zvi", ".png", ".jpg", ".jpeg"),
)
SPLITS = ("train", "val", "test")
CALIBRATION = "calibration"  # patients of prediction sets, who serve nothing else
GIVEN = (*SPLITS, CALIBRATION)  # what a table may say
_NEEDED = ("slide_id", "slide_path")
_UNSAFE = re.compile(r'^\.|[/\\:*?"<>|\x00-\x1f\x7f]|^$')


@dataclass(frozen=True)
class SlideEntry:
    """A row of slides.csv: a slide and what is known of it. None is unknown.

    `label` is the slide's class, `background` the class of all that no polygon covers, `mpp` the
    level-0 µm/px where the file's is missing or wrong.
    """

    slide_id: str
    slide_path: Path
    patient_id: str | None = None
    label: str | None = None
    split: str | None = None
    annotation_path: Path | None = None
    background: str | None = None
    mpp: float | None = None
    center: str | None = None
    scanner: str | None = None
    tissue_path: Path | None = None

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files that nobody may write beside; an outline of tissue is edited where it lies."""
        return (self.slide_path, *filter(None, [self.annotation_path]))


COLUMNS = tuple(field.name for field in fields(SlideEntry))


def read_cohort(slides: str | Path, *, allow_shared_patient: bool = False) -> list[SlideEntry]:
    """Read slides.csv, a folder of slides (not its subfolders), or a single slide.

    Paths in a CSV are relative to its folder. Without a CSV the slide's id is the file's name
    without suffix. A DICOM slide is a series of files: of a folder's files with one series id the
    largest stands for the slide, and OpenSlide finds the others.

    Args:
        slides: Where the slides are, or their table.
        allow_shared_patient: Read a table that has a patient in two splits.

    Raises:
        CohortError: Nothing there; a column missing or nearly right; a value that cannot be meant
            (row and column named); a file missing; a slide id twice or unfit for a file's name; a
            patient in two splits.

    >>> [slide] = read_cohort("demo/cohort/slides.csv")
    >>> slide.slide_id, slide.patient_id
    ('phantom_01', 'patient_01')
    """
    path = Path(slides)
    if path.is_dir():
        entries = [SlideEntry(file.stem, file) for file in _slides_in(path)]
    elif not path.exists():
        raise CohortError(f"{path}: there is no such file or folder", "Check --slides.")
    elif path.suffix.lower() == ".csv":
        entries = _read_csv(path)
    elif path.suffix.lower() in SUFFIXES:
        entries = [SlideEntry(path.stem, path)]
    else:
        raise CohortError(
            f"{path}: neither a slide, a folder nor a .csv file",
            f"Slides end in {', '.join(SUFFIXES)}.",
        )
    _check(path, entries)
    if not allow_shared_patient:
        check_leakage([e.patient_id for e in entries], [e.split for e in entries], path)
    return entries


def listed(slides: Path | None, *, allow_shared_patient: bool = False) -> dict[str, SlideEntry]:
    """The rows of slides.csv by slide id; {} for a folder or a slide, which only say where.

    Raises:
        CohortError: As `read_cohort`.
    """
    if slides is None or slides.suffix.lower() != ".csv":
        return {}
    rows = read_cohort(slides, allow_shared_patient=allow_shared_patient)
    return {row.slide_id: row for row in rows}


def check_leakage(
    patients: Sequence[str | None],
    splits: Sequence[str | None],
    source: str | Path = "split",
    what: str = "patient",
) -> None:
    """Refuse a patient in more than one split; unknown patients and splits (None, "") pass.

    Args:
        patients: [N], of each row.
        splits: [N], of each row.
        source: The file that says so, for the message.
        what: They are, where they are no patients.

    Raises:
        CohortError: Names the patients and their splits.
    """
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for patient, split in zip(patients, splits, strict=True):
        if patient and split:
            seen[patient].add(split)
    leaks = [f"{p} ({' and '.join(sorted(s))})" for p, s in sorted(seen.items()) if len(s) > 1]
    if leaks:
        raise CohortError(
            f"{source}: the same {what} is in two splits: {_some(leaks)}",
            f"Keep all of a {what}'s {'slides' if what == 'patient' else 'patches'} in one split, "
            "or figures will be too good.",
        )


def _read_csv(path: Path) -> list[SlideEntry]:
    rows = read_table(path, _NEEDED, COLUMNS)
    decimal = "." if separator_of(path) == "," else ","
    return [_entry(path, line, row, decimal) for line, row in rows]


def _entry(path: Path, line: int, row: Mapping[str, str], decimal: str) -> SlideEntry:
    values: dict[str, str | Path | float] = {}
    for column in COLUMNS:
        where = f"{path}: line {line}, column {column}"
        text = row.get(column, "")
        if not text:
            if column in _NEEDED:
                raise CohortError(f"{where} is empty", "Every slide needs it.")
        elif column.endswith("_path"):
            values[column] = path.parent / text
        elif column == "mpp":
            values[column] = _mpp(where, text, decimal)
        elif column == "split" and text not in GIVEN:
            raise CohortError(f'{where}: "{text}" is no split', f"Write {' or '.join(GIVEN)}.")
        else:
            values[column] = text
    return SlideEntry(**values)  # type: ignore[arg-type]  # by column, each of its type


def _mpp(where: str, text: str, decimal: str) -> float:
    """µm/px; a decimal comma is read where commas separate nothing, else named."""
    try:
        mpp = float(text.replace(decimal, "."))
    except ValueError:
        mpp = math.nan
    if math.isfinite(mpp) and mpp > 0:
        return mpp
    remedy = "Give µm per level-0 pixel, such as 0.25."
    if re.fullmatch(r"\d+,\d+", text):
        remedy = f"Write the decimal comma as a point: {text.replace(',', '.')}."
    raise CohortError(f'{where}: "{text}" is no resolution', remedy)


def _check(path: Path, entries: Sequence[SlideEntry]) -> None:
    for entry in entries:
        if not _is_text(f"{entry.slide_id}{entry.slide_path}"):
            raise CohortError(
                f"{path}: the name {str(entry.slide_path)!a} is not UTF-8", "Rename the slide."
            )
        if _UNSAFE.search(entry.slide_id) or len(entry.slide_id.encode()) > 180:
            raise CohortError(
                f'{path}: the slide_id "{entry.slide_id}" cannot be part of a file name',
                "Use at most 180 letters, digits and - _ . without a leading dot.",
            )
    _refuse_twice(path, "slide_id", [entry.slide_id for entry in entries])
    _refuse_twice(path, "slide_path", [str(entry.slide_path.resolve()) for entry in entries])
    files = (
        (e.slide_id, f) for e in entries for f in (e.slide_path, e.annotation_path, e.tissue_path)
    )
    missing = [
        f"{file} of {slide_id}" for slide_id, file in files if file and not is_ordinary(file)
    ]
    if missing:
        raise CohortError(
            f"{path}: no such file: {_some(missing)}", "Paths are relative to the CSV's folder."
        )


def _is_text(name: str) -> bool:
    r"""Whether a name can be written down; a file may be called by any bytes.

    >>> _is_text("Gr\xf6\xdfe"), _is_text("Gr\udcf6e")
    (True, False)
    """
    try:
        name.encode()
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def _refuse_twice(path: Path, column: str, values: Sequence[str]) -> None:
    twice = sorted(value for value, count in Counter(values).items() if count > 1)
    if twice:
        raise CohortError(
            f"{path}: the same {column} twice: {_some(twice)}", "Every slide is listed once."
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _slides_in(folder: Path) -> list[Path]:
    files = sorted(f for f in folder.iterdir() if f.is_file() and not f.name.startswith("."))
    slides = [file for file in files if file.suffix.lower() in SUFFIXES]
    parts = _parts_of_vms(slides)
    slides = [file for file in slides if file.name not in parts]
    dicom = [file for file in slides if file.suffix.lower() == ".dcm"]
    slides = sorted([f for f in slides if f not in dicom] + _one_per_series(dicom))
    if not slides:
        inner = sum(f.is_dir() for f in folder.iterdir())
        said = f" ({inner} subfolders are not searched)" if inner else ""
        raise CohortError(
            f"{folder}: a folder without slides{said}",
            f"Slides end in {', '.join(SUFFIXES)}.",
        )
    return slides


def _parts_of_vms(files: Iterable[Path]) -> set[str]:
    """The images that a Hamamatsu .vms or .vmu index names: parts of its slide, no slides."""
    indices = (f for f in files if f.suffix.lower() in (".vms", ".vmu"))
    texts = (index.read_text(encoding="utf-8", errors="replace") for index in indices)
    return {line.partition("=")[2].strip() for text in texts for line in text.splitlines()}


def _one_per_series(files: Sequence[Path]) -> list[Path]:
    """The largest file of each DICOM series; one that OpenSlide cannot open stands for itself."""
    if not files:
        return []
    import openslide

    series: defaultdict[str, list[Path]] = defaultdict(list)
    for file in files:
        try:
            with openslide.OpenSlide(file) as slide:
                series[slide.properties["dicom.SeriesInstanceUID"]].append(file)
        except (openslide.OpenSlideError, KeyError):
            series[str(file)].append(file)
    return [max(group, key=lambda file: file.stat().st_size) for group in series.values()]
