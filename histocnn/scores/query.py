"""Score files of knn and probe: a query's rows as they came, scored against a reference."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.patches.patches import FilePatches
from histocnn.reference.features import Exclude, Features, check_same, groups_of, left_out, load
from histocnn.reference.neighbours import UNKNOWN
from histocnn.scores.scoring import Scoring, write_scores


def open_query(query: FilePatches, reference: Features) -> Features:
    """The query's rows, made as the reference was.

    Raises:
        FeaturesError: As `features.load`, or the two do not fit each other.
    """
    rows = load([query.file])
    check_same(reference, rows)
    return rows


def seen(reference: Features, query: Features, exclude: Exclude) -> list[str]:
    """Say of each query row whether its patient or slide took part: "train", "no" or "unknown"."""
    everyone, shared = groups_of(reference, reference), groups_of(query, reference)
    excluded = left_out(query, reference, exclude)
    patients_known, slides_known = any(reference.patient_ids), any(reference.slide_ids)

    @cache
    def took_part(group: tuple[int, ...], kept_from: tuple[int, ...]) -> bool:
        shares = ((everyone == group) & (np.array(group) != UNKNOWN)).any(1)
        gone = ((everyone == kept_from) & (np.array(kept_from) != UNKNOWN)).any(1)
        return bool((shares & ~gone).any())

    verdicts = []
    for i, (patient, slide) in enumerate(zip(query.patient_ids, query.slide_ids, strict=True)):
        if took_part(tuple(shared[i]), tuple(excluded[i])):
            verdicts.append("train")
        elif patient if patients_known else slide if slides_known else "":
            verdicts.append("no")
        else:
            verdicts.append("unknown")
    return verdicts


def write_query(
    target: Path,
    query: Features,
    reference: Features,
    arrays: Mapping[str, NDArray[Any]],
    recipe: Mapping[str, Any],
    exclude: Exclude,
) -> dict[str, Any]:
    """Write a query's score file.

    Args:
        target: The file.
        query: Its readable rows.
        reference: What they were compared with.
        arrays: `scores` [M, C] and others with a row per query row; rows that were left out
            become NaN, or -1 in whole numbers.
        recipe: Of the file.
        exclude: What was left out of the reference.

    Returns:
        The facts that `jobs.run.run` keeps.
    """
    patches = FilePatches(query.files[0])
    total, rows = len(patches), query.row
    datasets: dict[str, Any] = {}
    for name, array in arrays.items():
        fill = np.nan if array.dtype.kind == "f" else -1
        datasets[name] = np.full((total, *array.shape[1:]), fill, array.dtype)
        datasets[name][rows] = array
    datasets |= {
        "reference_files": [file.name for file in reference.files],
        "reference_sha256": list(reference.hashes),
        "reference_slide_ids": sorted(set(reference.slide_ids) - {""}),
        "reference_patient_ids": sorted(set(reference.patient_ids) - {""}),
    }
    verdicts = seen(reference, query, exclude)
    if patches.coords is None:
        of_row = dict(zip(rows.tolist(), verdicts, strict=True))
        verdicts = [of_row.get(row, "unknown") for row in range(total)]
    scoring = Scoring(reference.class_names, recipe, verdicts)
    write_scores(target, patches.carried(), datasets, scoring)
    notes = []
    if query.unreadable:
        notes.append(f"{query.unreadable} of {total} rows are NaN, not scored")
    if reference.unreadable:
        notes.append(f"{reference.unreadable} reference rows are NaN, left out")
    return {"patches": total, "outcome": "ok" if total else "empty", "notes": notes}
