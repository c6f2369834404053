"""Who is validated in which fold: patients of training and validation, nobody of test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.cohort.splits import divide, write_split
from histocnn.errors import CohortError
from histocnn.models.division import divided
from histocnn.models.options import TrainOptions
from histocnn.models.rows import gather
from histocnn.patches.patches import open_patches

SPLIT, REFIT = "split.csv", "split_refit.csv"
REFIT_SHARE = 0.1  # whom early stopping, temperature and thresholds need


def fold_file(out: Path, fold: int) -> Path:
    """Where a fold's patients are named."""
    return out / "folds" / f"{fold}.csv"


def division_of(options: TrainOptions) -> tuple[NDArray[np.int64], list[str], NDArray[np.str_]]:
    """Labels, groups and splits of a training's patches, without a look at any picture.

    Raises:
        HistocnnError: As `divided`.
    """
    data = options.data
    sources = open_patches(
        data.patches, slides=data.slides, patient_pattern=data.patient_pattern,
        allow_shared_patient=data.allow_shared_patient,
    )  # fmt: skip
    rows = gather(
        sources, data.class_names, data.slides, allow_shared_patient=data.allow_shared_patient
    )
    rows, groups, parts = divided(rows, data, options.run.seed_everything, unseen=True)
    return rows.labels, groups, parts


def write_folds(
    out: Path,
    labels: ArrayLike,
    groups: Sequence[str],
    parts: NDArray[np.str_],
    *,
    folds: int,
    seed: int,
) -> None:
    """Write OUT/split.csv, OUT/split_refit.csv, and OUT/folds/: whom each trial may see.

    Args:
        out: The search's folder.
        labels: [N], the rows' classes.
        groups: [N], whose they are.
        parts: [N], the split of each.
        folds: k; 1: training and validation as they are.
        seed: Of the folds.

    Raises:
        CohortError: A split is empty, or there are fewer patients than folds.
    """
    labels = np.asarray(labels)
    for part in ("train", "val", "test"):
        if not (parts == part).any():
            raise CohortError(f"the {part} split is empty", "A search needs all three.")
    inside = np.flatnonzero(np.isin(parts, ("train", "val")))
    mine = [groups[i] for i in inside.tolist()]
    write_split(out / SPLIT, groups, parts.tolist())
    again = divide(labels[inside], mine, (1 - REFIT_SHARE, REFIT_SHARE), seed)
    refit = parts.copy()
    refit[inside] = np.where(again == 1, "val", "train")
    write_split(out / REFIT, groups, refit.tolist())
    if folds == 1:
        write_split(fold_file(out, 0), mine, parts[inside].tolist())
        return
    of_row = divide(labels[inside], mine, [1 / folds] * folds, seed)
    for fold in range(folds):
        own = np.where(of_row == fold, "val", "train")
        write_split(fold_file(out, fold), mine, own.tolist())
