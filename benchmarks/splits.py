r"""What the same network scores when patches are split by patient, by file and by stain.

    python benchmarks/splits.py --patches idc --patient_pattern '^(\d+)/' --weights FILE

Frozen features (squeezenet1_1, 112 px), then 20-NN, a linear probe (C 0.01) and colour alone, out
of five folds that five seeds deal. The split by stain does not see the patients.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from folds import frozen_features
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from histocnn.cohort.splits import divide
from histocnn.models.rows import gather, group
from histocnn.models.stain_split import with_stain_groups
from histocnn.patches.patches import open_patches
from histocnn.reference import neighbours
from histocnn.reference.colour import colour, colour_baseline
from histocnn.reference.linear import Probe

FOLDS, SEEDS = 5, 5


def scored(x, labels, test, classes) -> dict[str, np.ndarray]:
    """Scores [M, C] of the test rows by each method, learnt from all others."""
    features, colours = x
    fit, nobody = ~test, np.full(int(test.sum()), -1)
    reference = neighbours.Reference(
        features[fit], np.full((int(fit.sum()), 1), -1), neighbours.Knn(20)
    )
    found = reference.search(features[test], nobody[:, None])
    probe = Probe(features[fit], labels[fit], np.arange(fit.sum()), 0.01)
    return {
        "20-NN": neighbours.vote(labels[fit][found.rows], found.distances, classes, "distance"),
        "probe": probe.scores(features[test], nobody),
        "colour": colour_baseline(colours[fit], labels[fit], colours[test], classes),
    }


def figures(scores, labels, fold_of) -> dict[str, float]:
    """AUROC (all folds together; mean of each fold's own), accuracy, balanced accuracy."""

    def auroc(rows):
        known = [c for c in range(scores.shape[1]) if 0 < (labels[rows] == c).sum() < rows.sum()]
        return np.mean([roc_auc_score(labels[rows] == c, scores[rows, c]) for c in known])

    called = scores.argmax(axis=1)
    return {
        "AUROC": auroc(np.ones(len(labels), bool)),
        "AUROC of a fold": np.mean([auroc(fold_of == fold) for fold in range(FOLDS)]),
        "accuracy": np.mean(called == labels),
        "balanced": balanced_accuracy_score(labels, called),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--patches", type=Path, required=True)
    parser.add_argument("--patient_pattern")
    parser.add_argument("--weights", required=True)
    asked = parser.parse_args()
    asked.backbone, asked.input_px = "squeezenet1_1", 112
    rows = gather(open_patches(asked.patches, patient_pattern=asked.patient_pattern), None, None)
    hidden = with_stain_groups(gather(open_patches(asked.patches), None, None))
    splits = {"file": group(rows, "file"), "stain": group(hidden, "stain")}
    if asked.patient_pattern:
        splits = {"patient": group(rows, "patient"), **splits}
    source = rows.sources[0]
    features = np.float32(frozen_features(source, asked)[rows.row])
    colours = np.concatenate([colour(source.patch(int(row))[None]) for row in rows.row])
    classes = len(rows.class_names)
    for name, groups in splits.items():
        sizes = np.unique(groups, return_counts=True)[1]
        print(f"by {name}: {len(sizes)} groups of {sizes.min()} to {sizes.max()} patches")
        found: dict[tuple[str, str], list[float]] = {}
        for seed in range(SEEDS):
            fold_of = divide(rows.labels, groups, [1 / FOLDS] * FOLDS, seed)
            whole: dict[str, np.ndarray] = {}
            for fold in range(FOLDS):
                test = fold_of == fold
                for how, scores in scored((features, colours), rows.labels, test, classes).items():
                    whole.setdefault(how, np.zeros((len(rows), classes)))[test] = scores
            for how, scores in whole.items():
                for what, value in figures(scores, rows.labels, fold_of).items():
                    found.setdefault((how, what), []).append(float(value))
        for (how, what), values in found.items():
            span = f"{min(values):.3f} to {max(values):.3f}"
            print(f"  {how:7} {what:16} {np.mean(values):.3f} ({span})")


if __name__ == "__main__":
    main()
