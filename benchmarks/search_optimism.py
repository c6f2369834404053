"""How much better the best of many trials looks where it was chosen than on other patients.

    python benchmarks/search_optimism.py CONFIG OUT

OUT is a search over features by CONFIG. Each configuration learns from 40 % of the patients; of the
others so many are drawn to choose on, and the rest stand for test, again and again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from histocnn.cohort.splits import divide
from histocnn.searching.feature_trial import groups_of, read, scores
from histocnn.searching.journal import open_study
from histocnn.searching.plan import read_plan
from histocnn.searching.results import rows_of

DRAWS = 100
CHOSEN_ON = (4, 8, 16)  # patients


def main() -> None:
    plan = read_plan(Path(sys.argv[1]))
    study = open_study(plan, Path(sys.argv[2]), before=lambda: None)
    found = []
    for row in rows_of(study):
        options = plan.features(row.values)
        rows = read(options)
        part = divide(rows.labels, groups_of(rows), (0.4, 0.6), 0)
        learnt, others = rows.only(part == 0), rows.only(part == 1)
        found.append(scores(learnt, others, options)[:, 1])
    names, patient = np.unique(groups_of(others), return_inverse=True)
    labels, rng = others.labels, np.random.default_rng(0)
    print(f"{len(found)} trials, {len(names)} patients to draw from")
    print("patients | best, where chosen | the same, on the rest | optimism | of it, of choosing")
    for count in CHOSEN_ON:
        told = []
        while len(told) < DRAWS:
            here = np.isin(patient, rng.choice(len(names), count, replace=False))
            if len(np.unique(labels[here])) < 2:
                continue
            val, test = (
                np.array([roc_auc_score(labels[side], one[side]) for one in found])
                for side in (here, ~here)
            )
            best = int(val.argmax())
            level = val.mean() - test.mean()  # these patients may be easier for every trial
            told.append((val[best], test[best], val[best] - test[best] - level))
        own, rest, choosing = np.mean(told, axis=0)
        print(f"{count} | {own:.3f} | {rest:.3f} | {own - rest:+.3f} | {choosing:+.3f}")


if __name__ == "__main__":
    main()
