"""What colour alone scores beside a model: by training's patients, and by the others judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histocnn.metrics.calibration import usable
from histocnn.metrics.patch import Groups, comparison, patch_report
from histocnn.metrics.sections import ColourReport
from histocnn.reference.colour import ColourReference, drawn, within
from histocnn.reference.neighbours import Float

MOST_BY_TRAINING, MOST_WITHIN = 200_000, 20_000  # patches; of more, as many of every patient
COMPARED = ("macro_auroc", "macro_average_precision", "balanced_accuracy", "accuracy")
NO_COLOURS = "the score files hold no colours of the patches"
NOT_STORED = "the model holds no colours of its training patches (an older version, knn or probe)"
UNKNOWN_PATIENTS = "of some patches no patient is known"
ONE_PATIENT = "all patches are of one patient"


@dataclass(frozen=True, eq=False)
class Coloured:
    """Scored patches and their colours.

    Attributes:
        scores: float32 [N, C], of the model.
        colours: float32 [N, 6], NaN where unknown.
        labels: int64 [N], -1 unknown.
        class_names: C names.
        groups: The patients.
    """

    scores: Float
    colours: Float
    labels: NDArray[np.int64]
    class_names: Sequence[str]
    groups: Groups

    def rows(self, most: int) -> NDArray[np.int64]:
        """Judged rows of known colour, at most so many."""
        known = usable(self.scores, self.labels) & np.isfinite(self.colours).all(axis=1)
        rows = np.flatnonzero(known)
        return rows[drawn(self.groups.of_patch[rows], most, self.groups.seed)]


def by_training(patches: Coloured, reference: ColourReference | None) -> ColourReport | str:
    """k-NN with the training patients as reference, as the model holds them; or why there is none.

    Args:
        patches: What is judged.
        reference: Colours of training; None: not stored.
    """
    rows = patches.rows(MOST_BY_TRAINING)
    if reference is None or not len(rows):
        return NO_COLOURS if reference is not None else NOT_STORED
    n = f"{len(reference.labels):,} patches of training"
    of = f" ({reference.patients:,} patient{'s' * (reference.patients != 1)})"
    scores = reference.scores(patches.colours[rows], len(patches.class_names))
    return _beside(patches, rows, scores, n + of * bool(reference.patients))


def by_others(patches: Coloured) -> ColourReport | str:
    """k-NN with the other judged patients as reference, each left out in turn; or why not."""
    rows = patches.rows(MOST_WITHIN)
    if len(rows) < 2:
        return NO_COLOURS
    patients = patches.groups.of_patch[rows].astype(np.int64)
    if patches.groups.unit != "patients" or (patients < 0).any():
        return UNKNOWN_PATIENTS
    if len(np.unique(patients)) == 1:
        return ONE_PATIENT
    scores = within(patches.colours[rows], patches.labels[rows], patients, len(patches.class_names))
    return _beside(patches, rows, scores, "patients")


def _beside(patches: Coloured, rows: NDArray[np.int64], colour: Float, folds: str) -> ColourReport:
    """Figures of colour alone, those of the scores on the same rows, and their differences."""
    scores, labels = patches.scores[rows], patches.labels[rows]
    names, groups = patches.class_names, patches.groups.of(rows)
    own = patch_report(scores, labels, names, groups)
    alone = patch_report(colour, labels, names, groups)
    gaps = comparison((scores, colour), labels, names, groups, ("scores", "colour only")).figures
    differences = {name: gaps[name] for name in COMPARED}
    more = {"scores": own.figures, "folds": folds, "differences": differences}
    return ColourReport(**vars(alone) | more)
