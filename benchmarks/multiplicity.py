"""Count how often something "differs" between two equal models (docs/evaluation.md).

Cohorts of patients whose patches share an effect, scored by two models of equal worth: by every
figure's own p-value, by the primary figure alone, and by anything after the correction.

    python benchmarks/multiplicity.py --pairs 60
"""

from __future__ import annotations

import argparse

import numpy as np

from histocnn.metrics.multiplicity import SURE, corrected
from histocnn.metrics.patch import Groups, comparison

PATIENTS, PATCHES, SHIFT = 50, 40, 1.5


def pair(seed: int, replicates: int) -> tuple[bool, bool, bool]:
    """Whether any figure, the primary one, or anything after the correction differs."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(PATIENTS), PATCHES)
    labels = (np.arange(len(group)) % 4 == 0).astype(int)
    shared = SHIFT * labels + 0.7 * rng.normal(size=PATIENTS)[group] + rng.normal(size=len(group))
    models = []
    for _ in range(2):
        own = shared + 0.5 * rng.normal(size=PATIENTS)[group] + rng.normal(size=len(group))
        p = 1 / (1 + np.exp(SHIFT / 2 - own))
        models.append(np.stack([1 - p, p], 1))
    groups = Groups(group, replicates=replicates, seed=seed)
    found = comparison((models[0], models[1]), labels, ("normal", "tumour"), groups, ("a", "b"))
    found = corrected(found, replicates=replicates)
    first = found.figures[str(found.primary)].p or 1.0
    rest = [gap.p_corrected for gap in found.figures.values() if gap.p_corrected is not None]
    return (
        min(gap.p for gap in found.figures.values() if gap.p is not None) < SURE,
        first < SURE,
        min(first, *rest) < SURE,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--replicates", type=int, default=1000)
    asked = parser.parse_args()
    found = np.array([pair(seed, asked.replicates) for seed in range(asked.pairs)])
    for what, count in zip(
        ("any figure by its own p", "the primary figure", "anything after the correction"),
        found.sum(axis=0), strict=True,
    ):  # fmt: skip
        print(f"{what}: {count} of {asked.pairs} equal pairs")


if __name__ == "__main__":
    main()
