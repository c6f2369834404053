"""What colour alone scores on judged patches: a model must be better."""

from __future__ import annotations

import json

import numpy as np

from histocnn.errors import MetricError
from histocnn.evaluation.judged import Judged
from histocnn.evaluation.options import Resampling
from histocnn.evaluation.patch_report import groups_of
from histocnn.metrics.sections import ColourReport
from histocnn.reference.colour import ColourReference
from histocnn.reference.colour_figures import Coloured, by_others, by_training

Baseline = ColourReport | str


def colour_reports(judged: Judged, resampling: Resampling) -> tuple[Baseline, Baseline]:
    """The two baselines: by the training patients, and by the other judged patients.

    Returns:
        Figures beside those of the scores on the same patches, or why there are none.

    Raises:
        MetricError: What the scores hold of training's colours cannot be read.
    """
    patches = Coloured(
        judged.scores, judged.colour, judged.labels, judged.class_names,
        groups_of(judged, resampling),
    )  # fmt: skip
    return by_training(patches, _stored(judged)), by_others(patches)


def _stored(judged: Judged) -> ColourReference | None:
    """What the scores hold of training's colours, by the truth's classes."""
    first = judged.files[0]
    text = first.read("training_colours").get("training_colours")
    if not text:
        return None
    try:
        found = ColourReference.from_dict(json.loads(str(text[0])), len(first.class_names))
    except (ValueError, TypeError, LookupError, RecursionError):
        raise MetricError(
            f"{first.path}: what it holds of training's colours cannot be read",
            "Score the slides again.",
        ) from None
    column = np.array([judged.class_names.index(name) for name in judged.score_classes])
    return ColourReference(found.colours, column[found.labels], found.patients)
