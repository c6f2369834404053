"""How the figures of a k-NN depend on k."""

from __future__ import annotations

import numpy as np

from histocnn.evaluation.judged import Judged
from histocnn.metrics.patch import number
from histocnn.metrics.sections import NeighbourPoint
from histocnn.metrics.tally import tally
from histocnn.patches.classes import renumber
from histocnn.reference.votes import scores_by_k

CURVE_ROWS = 100_000  # patches that the k curve looks at


def k_curve(judged: Judged) -> tuple[NeighbourPoint, ...]:
    """Figures of a k-NN for fewer neighbours, from those that it stored; empty for other scores.

    Returns:
        A point for each k, growing; on at most 100,000 patches.
    """
    if not all({"neighbour_labels", "distances"} <= file.shapes.keys() for file in judged.files):
        return ()
    first = judged.files[0].attributes
    named = dict(zip(judged.files[0].class_names, judged.score_classes, strict=True))
    labels, distances = [], []
    for file in judged.files:
        arrays = file.read("neighbour_labels", "distances")
        meant = [named[name] for name in file.class_names]
        labels.append(renumber(arrays["neighbour_labels"], meant, judged.class_names))
        distances.append(arrays["distances"])
    rows = np.random.default_rng(0).permutation(np.flatnonzero(judged.judged))[:CURVE_ROWS]
    near, apart = np.concatenate(labels)[rows], np.concatenate(distances)[rows]
    weights = first.get("recipe", {}).get("weights", "distance")
    count = len(judged.class_names)
    result = []
    for k, scores in scores_by_k(near, apart, count, weights):
        counted = tally(scores, judged.labels[rows], np.zeros(len(rows), int), judged.class_names)
        figures = counted.figures()
        names = ("accuracy", "balanced_accuracy", "macro_auroc")
        result.append(NeighbourPoint(k, **{name: number(figures[name]) for name in names}))
    return tuple(result)
