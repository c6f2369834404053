"""What colour alone scores on judged patches: a model must be better."""

from __future__ import annotations

import numpy as np

from histocnn.evaluation.judged import Judged
from histocnn.evaluation.options import Resampling
from histocnn.evaluation.patch_report import report_of
from histocnn.metrics.sections import ColourReport
from histocnn.reference.colour import colour_baseline

COLOUR_ROWS = 20_000  # patches that the colour baseline looks at
COLOUR_FOLDS = 5


def colour_report(judged: Judged, resampling: Resampling) -> ColourReport | str:
    """What k-NN on each patch's RGB mean and deviation scores, with other patients as reference.

    Five folds by patient (by patch where no patient or slide is known: optimistic, and said), on
    at most 20,000 patches.

    Returns:
        Figures beside those of the scores on the same patches; or why there are none.
    """
    rows = np.flatnonzero(judged.judged & np.isfinite(judged.colour).all(axis=1))
    if len(rows) < 2:
        return "the score files hold no colours of the patches"
    rng = np.random.default_rng(resampling.seed)
    rows = np.sort(rng.permutation(rows)[:COLOUR_ROWS])
    patient = judged.patient[rows]
    all_known = bool((patient >= 0).all())
    group = np.unique(patient, return_inverse=True)[1] if all_known else np.arange(len(rows))
    if group.max() == 0:
        return "all patches are of one patient"
    fold = (rng.permutation(group.max() + 1) % COLOUR_FOLDS)[group]
    scores = np.full_like(judged.scores, np.nan)
    for test in np.unique(fold):
        inside = fold == test
        scores[rows[inside]] = colour_baseline(
            judged.colour[rows[~inside]], judged.labels[rows[~inside]],
            judged.colour[rows[inside]], len(judged.class_names),
        )  # fmt: skip
    chosen = np.zeros(len(judged), bool)
    chosen[rows] = True
    own = report_of(judged, chosen, resampling)
    colour = report_of(judged, chosen, resampling, scores)
    folds = judged.unit if all_known else "patches: optimistic"
    return ColourReport(**vars(colour) | {"scores": own.figures, "folds": folds})
