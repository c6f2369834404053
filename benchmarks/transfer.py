"""Simulate what evaluate's section on transfer promises (docs/evaluation.md).

Pairs of laboratories, each patient with a sensitivity of its own (Beta, SD 0.12) and 50 positive
patches: how often a loss is called `lost`, with and without one, by number of patients; and what a
threshold for 95 % sensitivity is worth that was chosen on few patients.

    python benchmarks/transfer.py --pairs 2000
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from histocnn.metrics.rates import LOST, SPREAD, TOO_FEW, Change, change, rate

PATCHES = 50
SENSITIVITY, LOSS = 0.85, 0.15
PATIENTS = (5, 8, 10, 15, 20, 30, 40, 60)
AROUND = 0.85  # sensitivity around which patients differ by SPREAD, for the thresholds


def laboratory(mean: float, patients: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Patches found of each patient's 50."""
    sums = mean * (1 - mean) / SPREAD**2 - 1  # of Beta's two parameters
    own = rng.beta(mean * sums, (1 - mean) * sums, patients)
    return rng.binomial(PATCHES, own)


def pair(loss: float, patients: int, rng: np.random.Generator) -> Change:
    """The verdict on two laboratories of so many patients each."""
    every = np.full(patients, PATCHES)
    before, after = (
        rate(laboratory(mean, patients, rng), every) for mean in (SENSITIVITY, SENSITIVITY - loss)
    )
    return change(before, after)


def bootstrapped(patients: int, rng: np.random.Generator) -> bool:
    """Whether percentiles of a bootstrap over both cohorts' patients call a loss where is none."""
    cohorts = [laboratory(SENSITIVITY, patients, rng) / PATCHES for _ in range(2)]
    draws = [own[rng.integers(0, patients, (500, patients))].mean(axis=1) for own in cohorts]
    return bool(np.percentile(draws[1] - draws[0], 97.5) < 0)


def worth(patients: int, draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """95 % range of the sensitivity in the population at a threshold chosen for 95 % on few."""
    shift = shift_of_patients()
    own = rng.normal(0, shift, (draws, patients, 1)) + rng.normal(size=(draws, patients, PATCHES))
    threshold = np.quantile(own.reshape(draws, -1), 0.05, axis=1, method="inverted_cdf")
    held = norm.cdf(-threshold / np.sqrt(1 + shift**2))
    low, high = np.percentile(held, (2.5, 97.5))
    return float(low), float(high)


def shift_of_patients() -> float:
    """By how much patients' scores differ (SD, in units of a patch's) for SPREAD around AROUND."""
    z = np.linspace(-6, 6, 2001)
    weight = norm.pdf(z) / norm.pdf(z).sum()

    def excess(shift: float) -> float:
        share = norm.cdf(norm.ppf(AROUND) * np.sqrt(1 + shift**2) + shift * z)
        return float(np.sqrt(weight @ (share - weight @ share) ** 2) - SPREAD)

    return float(brentq(excess, 0.01, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2000)
    pairs = parser.parse_args().pairs
    print(f"{pairs} pairs each, sensitivity {SENSITIVITY}, loss {LOSS}")
    print("| patients in each laboratory | loss called | falsely called | by bootstrap | too few |")
    print("|---|---|---|---|---|")
    for patients in PATIENTS:
        rng = np.random.default_rng(patients)
        lossy = [pair(LOSS, patients, rng).verdict for _ in range(pairs)]
        equal = [pair(0, patients, rng).verdict for _ in range(pairs)]
        drawn = [bootstrapped(patients, rng) for _ in range(pairs)]
        shares = [np.mean([v == LOST for v in found]) for found in (lossy, equal)]
        shares += [np.mean(drawn), np.mean([v == TOO_FEW for v in equal])]
        print(
            f"| {patients} | " + " | ".join(f"{share:.1%}" for share in shares) + " |", flush=True
        )
    print("\n| validation patients | a 95 % sensitivity is worth |\n|---|---|")
    for patients in (1, 2, 3, 5, 10, 20, 60):
        low, high = worth(patients, 20 * pairs, np.random.default_rng(patients))
        print(f"| {patients} | {low:.2f} to {high:.2f} |", flush=True)


if __name__ == "__main__":
    main()
