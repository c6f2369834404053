r"""What a probe on frozen features reaches on few data, every choice made inside training folds.

    python benchmarks/small.py --patches idc --patient_pattern '^(\d+)/' --features F.h5 [G.h5 …]

The files are what `histocnn embed` made of these patches. Five folds by patient, or by stain where
no patient is known. Three inner folds of the others, divided in the same way, choose file, colour
or none, and C; for two classes also the threshold (Youden's), from their out-of-fold scores.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve

from histocnn.cohort.splits import divide
from histocnn.metrics.intervals import bootstrap
from histocnn.metrics.tally import tally
from histocnn.models.rows import gather, group
from histocnn.models.stain_split import with_stain_groups
from histocnn.patches.patches import open_patches
from histocnn.reference.linear import Probe
from histocnn.storage import store

FOLDS, INNER, SEED = 5, 3, 0
FIGURES = ("accuracy", "balanced_accuracy", "macro_auroc")


def scored(values, labels, fit, test, c) -> np.ndarray:
    """Scores [M, C] of the test rows by a probe on the others."""
    probe = Probe(values[fit], labels[fit], np.arange(len(fit)), c)
    return probe.scores(values[test], np.full(len(test), -1))


def worth(scores, labels) -> float:
    """What a choice is made by: AUROC of two classes, accuracy of more."""
    two = scores.shape[1] == 2
    return roc_auc_score(labels, scores[:, 1]) if two else np.mean(scores.argmax(1) == labels)


def youden(scores, labels) -> float:
    """The threshold of the highest sensitivity + specificity."""
    false, true, thresholds = roc_curve(labels, scores)
    return thresholds[np.argmax(true - false)]


def inner_scores(values, labels, groups, fit, c) -> np.ndarray:
    """Out-of-fold scores [N, C] of the rows of an outer fold's training."""
    part = divide(labels[fit], [groups[i] for i in fit], [1 / INNER] * INNER, SEED)
    found = np.zeros((len(fit), labels.max() + 1), np.float32)
    for inner in range(INNER):
        here = part == inner
        found[here] = scored(values, labels, fit[~here], fit[here], c)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--patches", type=Path, required=True)
    parser.add_argument("--patient_pattern")
    parser.add_argument("--features", type=Path, nargs="+", required=True)
    parser.add_argument("--c", type=float, nargs="+", default=[0.01, 0.03, 0.1])
    asked = parser.parse_args()
    rows = gather(open_patches(asked.patches, patient_pattern=asked.patient_pattern), None, None)
    rows = rows if asked.patient_pattern else with_stain_groups(rows)
    groups, labels = group(rows, "patient" if asked.patient_pattern else "stain"), rows.labels
    sets = {}
    for file in asked.features:
        stored = store.read(file)
        features = np.float32(stored["features"][rows.row])
        sets[str(file)] = features
        sets[f"{file} and colour"] = np.c_[features, np.float32(stored["colour"][rows.row])]
    fold_of = divide(labels, groups, [1 / FOLDS] * FOLDS, SEED)
    compare(sets, labels, groups, fold_of, asked.c, list(rows.class_names))


def compare(sets, labels, groups, fold_of, penalties, names) -> None:
    units, unit = np.unique(groups, return_inverse=True)
    ways = list(product(sets, penalties))
    out = {way: np.zeros((len(labels), len(names)), np.float32) for way in [*ways, "chosen"]}
    called = np.zeros(len(labels), np.int64)
    for fold in range(FOLDS):
        test, fit = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
        inner = {}
        for way in ways:
            values = sets[way[0]]
            inner[way] = inner_scores(values, labels, groups, fit, way[1])
            out[way][test] = scored(values, labels, fit, test, way[1])
        best = max(ways, key=lambda way: worth(inner[way], labels[fit]))
        out["chosen"][test] = out[best][test]
        print(f"fold {fold}: {best}, {worth(inner[best], labels[fit]):.3f} inside", flush=True)
        if len(names) == 2:
            called[test] = out[best][test, 1] >= youden(inner[best][:, 1], labels[fit])
    for way, scores in out.items():
        counted = tally(scores, labels, unit, names)
        once, spread = counted.figures(), bootstrap(counted.figures, counted.patches)
        told = [
            f"{k} {once[k][0]:.3f} [{spread.bounds[k][0]:.3f}, {spread.bounds[k][1]:.3f}]"
            for k in FIGURES
        ]
        print(way, *told, f"of {len(units)} groups")
    if len(names) == 2:
        print(f"balanced accuracy, Youden's point: {balanced_accuracy_score(labels, called):.3f}")


if __name__ == "__main__":
    main()
