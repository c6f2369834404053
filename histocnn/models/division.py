"""Which patient is in which split of a training, by what its options say; free of torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.splits import read_split, set_apart, split
from histocnn.cohort.table import read_table
from histocnn.errors import UsageError
from histocnn.models.options import DataOptions
from histocnn.models.rows import Rows, check, group, is_given
from histocnn.models.stain_split import with_stain_groups
from histocnn.patches.patches import ImagePatches

Division = tuple[Rows, list[str], NDArray[np.str_]]


def divided(rows: Rows, options: DataOptions, seed: int, *, unseen: bool = False) -> Division:
    """The rows, with their stain groups where these are asked for, what stays together, splits.

    Args:
        rows: The labelled patches.
        options: What the split follows.
        seed: Of the split.
        unseen: Look at no picture: two splits may then share one unnoticed, and rows cannot be
            divided by stain.

    Raises:
        CohortError: See `rows.group`, `rows.check`, `splits.split` and `read_split`.
        UsageError: A share for calibration, and a file decides; unseen, and by stain.
    """
    shared = options.allow_shared_patient
    all_listed = is_given(rows) if options.split_file is None else all(rows.splits)
    if options.split_by == "stain" and not all_listed:
        if unseen:
            raise UsageError(
                "--data.split_by stain looks at every picture, those of the test split, too",
                "Give the split in a CSV of images.",
            )
        if options.calibration:
            raise UsageError(
                f"--data.calibration {options.calibration:g} with --data.split_by stain: coverage "
                "is promised to new patients, and nobody knows who these are",
                "Leave one away, or name the patients: --data.patient_pattern.",
            )
        rows = with_stain_groups(rows)
    groups = group(rows, "given" if all_listed else options.split_by, allow_shared_patient=shared)
    if options.calibration and (all_listed or options.split_file is not None):
        raise UsageError(
            f"--data.calibration {options.calibration:g}, but {decided_by(rows, options)} decides",
            "Write calibration as the split of these patients there.",
        )
    if options.split_file is not None:
        parts = read_split(options.split_file, groups)
    elif all_listed:
        parts = np.array(rows.splits)
    else:
        parts = split(rows.labels, groups, fractions=options.fractions, folds=options.folds,
                      fold=options.fold, seed=seed)  # fmt: skip
        if options.calibration:
            parts = set_apart(rows.labels, groups, parts, options.calibration, seed)
    by_file = options.split_by == "file" and not all_listed
    if not unseen:
        check(rows, parts, decided_by(rows, options), by_file=by_file, allow_shared_patient=shared)
    return rows, groups, parts


def admitted(rows: Rows, options: DataOptions, seed: int) -> Division:
    """The rows of those patients alone whom the split file names, and their splits.

    Of images the others' are taken out of the list itself, so that nothing can open them.

    Args:
        rows: The labelled patches of all patients.
        options: With a split file.
        seed: Of no use here: the file decides.

    Raises:
        UsageError: There is no split file.
        CohortError: As `divided`, but that the test split may be empty.
    """
    if options.split_file is None:
        raise UsageError("a trial without a split file", "Give --data.split_file.")
    shared = options.allow_shared_patient
    all_listed = all(rows.splits)
    groups = group(rows, "given" if all_listed else options.split_by, allow_shared_patient=shared)
    named = {row["group"] for _, row in read_table(options.split_file, ("group", "split"))}
    kept = np.flatnonzero([name in named for name in groups])
    rows, groups = without_others(rows.take(kept)), [groups[i] for i in kept]
    parts = read_split(options.split_file, groups)
    by_file = options.split_by == "file" and not all_listed
    check(
        rows, parts, decided_by(rows, options), by_file=by_file, needed=("train", "val"),
        allow_shared_patient=shared,
    )  # fmt: skip
    return rows, groups, parts


def without_others(rows: Rows) -> Rows:
    """The same rows over sources that hold these alone; a slide's file opens what is asked for."""
    sources, row = list(rows.sources), rows.row.copy()
    for number, source in enumerate(sources):
        mine = np.flatnonzero(rows.source == number)
        if isinstance(source, ImagePatches):
            sources[number] = source.only(rows.row[mine])
            row[mine] = np.arange(len(mine))
    return replace(rows, sources=sources, row=row)


def decided_by(rows: Rows, options: DataOptions) -> str:
    """What the split follows, for messages."""
    if options.split_file is not None:
        return f"--data.split_file {options.split_file}"
    if all(rows.splits):
        return f"the split column of {rows.splits_from}"
    return "--data.folds" if options.folds else "--data.fractions"
