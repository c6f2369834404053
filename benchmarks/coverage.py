"""Simulate how often a 95 % interval holds the truth (docs/evaluation.md): bootstrap and DeLong.

Each cohort has patients with a random effect that all their patches share. The truth is the AUROC
of endless patients, known in closed form.

    python benchmarks/coverage.py --cohorts 1000
"""

from __future__ import annotations

import argparse
from math import erf

import numpy as np
from scipy.stats import norm

from histocnn.metrics.intervals import bootstrap, delong
from histocnn.metrics.tally import Tally, tally

SHIFT, EFFECT, PATCHES = 1.5, 0.7, 20


def cohort(patients: int, rng: np.random.Generator) -> Tally:
    group = np.repeat(np.arange(patients), PATCHES)
    label = np.tile(np.arange(PATCHES) % 2, patients)
    effect = EFFECT * rng.normal(size=patients)[group]
    z = rng.normal(size=len(group)) + SHIFT * label + effect
    tumour = 1 / (1 + np.exp(SHIFT / 2 - z))
    return tally(np.stack([1 - tumour, tumour], 1), label, group, ["normal", "tumour"])


def delong_coverage(auroc: float, slides: int, cohorts: int) -> float:
    """Share of cohorts of so many slides of each class whose DeLong interval holds the AUROC."""
    rng = np.random.default_rng(slides)
    positive = np.repeat([True, False], slides)
    shift = np.sqrt(2) * norm.ppf(auroc) * positive
    bounds = [delong(rng.normal(shift), positive).bounds[0] for _ in range(cohorts)]
    low, high = np.array(bounds).T
    return float(np.mean((low <= auroc) & (auroc <= high)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=1000)
    parser.add_argument("--replicates", type=int, default=500)
    cohorts, replicates = (vars(parser.parse_args())[k] for k in ("cohorts", "replicates"))
    truth = 0.5 * (1 + erf(SHIFT / np.sqrt(2 * (1 + EFFECT**2)) / np.sqrt(2)))
    print(f"true AUROC {truth:.4f}, {cohorts} cohorts, {replicates} replicates")
    print("| patients | coverage of a 95 % interval | mean width |")
    print("|---|---|---|")
    for patients in (5, 10, 20, 50, 200):
        rng = np.random.default_rng(patients)
        bounds = []
        for seed in range(cohorts):
            counted = cohort(patients, rng)
            found = bootstrap(counted.figures, counted.patches, replicates=replicates, seed=seed)
            bounds.append(found.bounds["auroc:tumour"])
        low, high = np.array(bounds).T
        inside = np.mean((low <= truth) & (truth <= high))
        print(f"| {patients} | {100 * inside:.1f} % | {np.mean(high - low):.3f} |", flush=True)
    print("\n| slides of each class | DeLong, AUROC 0.8 | 0.9 | 0.97 |\n|---|---|---|---|")
    for slides in (2, 5, 10, 20, 30, 50):
        shares = [delong_coverage(auroc, slides, cohorts) for auroc in (0.8, 0.9, 0.97)]
        print(f"| {slides} | " + " | ".join(f"{100 * share:.0f} %" for share in shares) + " |")


if __name__ == "__main__":
    main()
