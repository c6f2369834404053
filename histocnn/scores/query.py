"""Score files of knn and probe: a query's rows as they came, scored against a reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.seen import NOT_SEEN, Verdict, seen_by, worst
from histocnn.cohort.seen import UNKNOWN as NOT_KNOWN
from histocnn.cohort.sheet import SlideEntry
from histocnn.cohort.whose import patients_of
from histocnn.patches.patches import FilePatches
from histocnn.reference.apart import Exclude, left_out
from histocnn.reference.cover import Cover
from histocnn.reference.features import Features, check_same, cohorts_of, groups_of, join
from histocnn.reference.neighbours import UNKNOWN
from histocnn.scores.scoring import Scoring, write_scores


def open_query(
    query: FilePatches, reference: Features, entries: Mapping[str, SlideEntry] | None = None
) -> Features:
    """The query's rows, made as the reference was; whose they are, the reference may know, too.

    Raises:
        FeaturesError: As `features.load`, or the two do not fit each other.
    """
    rows = join([query], entries)
    check_same(reference, rows)
    owners = [*zip(rows.slide_ids, rows.patient_ids, strict=True), *reference.owners]
    patients = patients_of([slide for slide, _ in owners], [patient for _, patient in owners])
    return replace(rows, patient_ids=patients[: len(rows)])


def seen(reference: Features, query: Features, exclude: Exclude) -> list[Verdict]:
    """Say of each query row whether its patient or slide took part in reference or network.

    The worse of two: whether it is among the examples that were not left out for it, and what the
    network that made the features saw in its own training.
    """
    everyone, shared = reference.groups, groups_of(query, reference)
    excluded = left_out(query, reference, exclude)
    of_nobody, of_no_slide = (everyone == UNKNOWN).T
    [fingerprint] = query.fingerprints
    cohorts = cohorts_of([reference, query])

    @cache
    def verdict(own: tuple[int, int], kept_from: tuple[int, int], slide: str, who: str) -> Verdict:
        used = ~((everyone == kept_from) & (np.array(kept_from) != UNKNOWN)).any(axis=1)
        same = (everyone == own) & (np.array(own) != UNKNOWN) & used[:, None]
        if same[:, 1].any() or (same[:, 0] & (of_no_slide | (not slide))).any():
            among = Verdict("train", "slide")
        elif same[:, 0].any():
            among = Verdict("train", "patient")
        else:
            among = NOT_SEEN if who and not (of_nobody & used).any() else NOT_KNOWN
        return worst([among, seen_by(cohorts, slide, who, fingerprint)])

    rows = zip(shared.tolist(), excluded.tolist(), query.slide_ids, query.patient_ids, strict=True)
    return [verdict((a, b), (c, d), slide, who) for (a, b), (c, d), slide, who in rows]


def write_query(
    target: Path,
    patches: FilePatches,
    query: Features,
    reference: Features,
    arrays: Mapping[str, NDArray[Any]],
    recipe: Mapping[str, Any],
    exclude: Exclude,
    found: Cover | None = None,
) -> dict[str, Any]:
    """Write a query's score file.

    Args:
        target: The file.
        patches: The query's file.
        query: Its readable rows.
        reference: What they were compared with.
        arrays: `scores` [M, C] and others with a row per query row; rows that were left out
            become NaN, or -1 in whole numbers.
        recipe: Of the file.
        exclude: What was left out of the reference.
        found: Whether the reference covers the query; None where it cannot be told.

    Returns:
        The facts that `jobs.run.run` keeps.
    """
    total, rows = len(patches), query.row
    datasets: dict[str, Any] = {}
    for name, array in arrays.items():
        fill = np.nan if array.dtype.kind == "f" else -1
        datasets[name] = np.full((total, *array.shape[1:]), fill, array.dtype)
        datasets[name][rows] = array
    datasets |= {
        "reference_files": [file.name for file in reference.files],
        "reference_sha256": list(reference.hashes),
        "reference_slide_ids": list(reference.places[1]),
        "reference_patient_ids": list(reference.places[0]),
    }
    verdicts = seen(reference, query, exclude)
    if patches.coords is None:
        of_row = dict(zip(rows.tolist(), verdicts, strict=True))
        verdicts = [of_row.get(row, NOT_KNOWN) for row in range(total)]
    scoring = Scoring(reference.class_names, recipe, verdicts)
    carried, attributes = patches.carried()
    if patches.coords is not None and len(query):
        attributes["patient_id"] = query.patient_ids[0] or None
    if not query.terms.encoder and reference.terms.encoder:
        attributes["encoder"] = reference.terms.to_dict()
    if found is not None:
        attributes["cover"] = found.stored
    write_scores(target, (carried, attributes), datasets, scoring)
    notes = []
    if query.unreadable:
        notes.append(f"{query.unreadable} of {total} rows are NaN, not scored")
    if reference.unreadable:
        notes.append(f"{reference.unreadable} reference rows are NaN, left out")
    facts = {"patches": total, "outcome": "ok" if total else "empty", "notes": notes}
    return facts if found is None else facts | {"cover": found.stored}
