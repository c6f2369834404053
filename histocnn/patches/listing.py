"""Which image files are patches, and the class, patient and split of each."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.sheet import GIVEN
from histocnn.cohort.table import separator_of
from histocnn.errors import CohortError, PatchesError, UsageError
from histocnn.storage.ordinary import is_ordinary

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, eq=False)
class Listing:
    """Which image files, and what is known of each ("" = unknown)."""

    root: Path
    paths: list[str]
    classes: list[str]
    patient_ids: list[str]
    slide_ids: list[str]
    splits: list[str]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in alphabetical order."""
        return tuple(sorted(set(self.classes) - {""}))

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 [N]: index into `class_names`, -1 unknown."""
        index = {name: i for i, name in enumerate(self.class_names)} | {"": -1}
        return np.array([index[name] for name in self.classes], np.int64)


def list_folder(folder: Path, patient_pattern: str | None = None) -> Listing:
    """Image files below a folder; an image's class is the folder that directly holds it.

    Images in `folder` itself have no class.

    Raises:
        PatchesError: No images, a folder without any, images both in and below `folder`.
    """
    paths: list[str] = []
    for directory, below, files in os.walk(folder, followlinks=True):
        below[:] = sorted(name for name in below if not name.startswith((".", "__")))
        images = sorted(f for f in files if Path(f).suffix.lower() in SUFFIXES and f[0] != ".")
        if not images and not below:
            raise PatchesError(f"{directory}: no images in it", "Remove the folder or fill it.")
        if odd := [name for name in images if not name.isprintable()]:
            raise PatchesError(f"{directory}: the name {odd[0]!a} is not text", "Rename it.")
        here = Path(directory).relative_to(folder)
        paths += [(here / name).as_posix() for name in images]
    flat = ["/" not in path for path in paths]
    if any(flat) and not all(flat):
        raise PatchesError(
            f"{folder}: images both in the folder itself and in folders below it",
            "Give one folder per class, or images without classes.",
        )
    return Listing(
        root=folder,
        paths=paths,
        classes=["" if flat[0] else Path(path).parent.name for path in paths],
        patient_ids=_patients(paths, patient_pattern),
        slide_ids=[""] * len(paths),
        splits=[""] * len(paths),
    )


def list_csv(file: Path, patient_pattern: str | None = None) -> Listing:
    """The rows of `path[,label][,patient_id][,slide_id][,split]`; paths relative to the CSV.

    Raises:
        PatchesError: Not such a table, no rows, a file in it that does not exist, or no split.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            table = list(csv.DictReader(lines, delimiter=separator_of(file)))
    except (OSError, UnicodeDecodeError, csv.Error, CohortError) as error:
        raise PatchesError(f"{file}: {error}", "It must be a UTF-8 CSV.") from None
    if not table or "path" not in table[0]:
        raise PatchesError(
            f"{file}: no rows with a `path` column", "The first line must name the columns."
        )

    def column(name: str) -> list[str]:
        return [(row.get(name) or "").strip() for row in table]

    paths = column("path")
    missing = [(i, p) for i, p in enumerate(paths) if not p or not is_ordinary(file.parent / p)]
    if missing:
        row, path = missing[0]
        raise PatchesError(
            f"{file}: {len(missing)} of {len(paths)} files do not exist, first {path!r} in line "
            f"{row + 2}",
            "Paths are relative to the CSV.",
        )
    patients, splits = column("patient_id"), column("split")
    odd = [(i, name) for i, name in enumerate(splits) if name not in ("", *GIVEN)]
    if odd:
        row, name = odd[0]
        raise PatchesError(
            f'{file}: line {row + 2}: "{name}" is no split', f"Write {' or '.join(GIVEN)}."
        )
    return Listing(
        root=file.parent,
        paths=paths,
        classes=column("label"),
        patient_ids=_patients(paths, patient_pattern) if patient_pattern else patients,
        slide_ids=column("slide_id"),
        splits=splits,
    )


def _patients(paths: Sequence[str], pattern: str | None) -> list[str]:
    """The pattern's first group (or whole match) in each path; every path must match."""
    if pattern is None:
        return [""] * len(paths)
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"--patient_pattern {pattern!r}: {error}",
            "Give a regular expression such as '^(\\d+)/'.",
        ) from None
    matches = [expression.search(path) for path in paths]
    for path, match in zip(paths, matches, strict=True):
        if match is None:
            raise PatchesError(
                f"patient_pattern {pattern!r} does not match {path}",
                "Its first group is the patient, as in '^(\\d+)/'.",
            )
    return [match[1 if match.re.groups else 0] for match in matches if match]
