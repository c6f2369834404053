"""Time the intervals of ten million patch scores, and check them against exact resampling.

python benchmarks/bootstrap.py [--patches 10000000 --patients 100 --prevalence 0.2]
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from histocnn.metrics.intervals import bootstrap, draw
from histocnn.metrics.tally import tally


def cohort(patches: int, patients: int, prevalence: float) -> tuple[np.ndarray, ...]:
    """Scores float32 [N, 2], labels and patients, with patient effects on score and prevalence."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, patients, patches)
    share = rng.beta(1, 1 / prevalence - 1, patients)
    label = (rng.random(patches) < share[group]).astype(np.int8)
    z = rng.normal(size=patches) + 2 * label - 1 + 0.5 * rng.normal(size=patients)[group]
    tumour = (1 / (1 + np.exp(-z))).astype(np.float32)
    return np.stack([1 - tumour, tumour], axis=1), label, group


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patches", type=int, default=10_000_000)
    parser.add_argument("--patients", type=int, default=100)
    parser.add_argument("--prevalence", type=float, default=0.2)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--checks", type=int, default=3, help="replicates recomputed exactly")
    options = parser.parse_args()
    scores, labels, group = cohort(options.patches, options.patients, options.prevalence)
    names = ["normal", "tumour"]

    start = time.perf_counter()
    counted = tally(scores, labels, group, names)
    summed = time.perf_counter()
    found = bootstrap(counted.figures, counted.patches, replicates=options.replicates)
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{options.patches:,} patches, {options.patients} patients, {found.replicates} replicates"
    )
    print(
        f"{done - start:.1f} s (tally {summed - start:.1f}, replicates {done - summed:.1f}), "
        f"peak {peak:.1f} GiB with the scores"
    )
    for figure in ("auroc:tumour", "average_precision:tumour", "brier", "ece"):
        low, high = found.bounds[figure]
        print(f"  {figure}: {counted.figures()[figure][0]:.5f} ({low:.5f} to {high:.5f})")

    weights, _ = draw(counted.patches, replicates=options.checks)
    fast, worst = counted.figures(weights), {}
    for row, weight in enumerate(weights):
        repeated = np.repeat(np.arange(options.patches), weight[group])
        exact = tally(scores[repeated], labels[repeated], np.zeros(len(repeated), int), names)
        for figure, value in exact.figures().items():
            worst[figure] = max(worst.get(figure, 0.0), abs(fast[figure][row] - value[0]))
    figure = max(worst, key=lambda name: worst[name])
    print(f"largest difference from exact resampling: {worst[figure]:.1e} ({figure})")


if __name__ == "__main__":
    main()
