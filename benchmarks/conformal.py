"""Simulate what predict --confidence promises (docs/benchmarks.md, prediction sets).

Patients differ by an effect of their own on every logit of theirs, as large as the patches' own
spread; those with easy patches have more of them. How often do the sets of new patients hold the
class, over many calibrations: of new patients like the old, and of some whose logits are lower.

    python benchmarks/conformal.py --calibrations 200
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from histocnn.metrics.conformal import calibrate
from histocnn.metrics.patch import Groups

Floats = NDArray[np.float64]
PATIENTS, NEW = (20, 50, 100), 4000
CONFIDENCE, SHIFTS = (0.8, 0.9, 0.95), (0.0, 0.5, 1.0, 2.0)  # of patients' standard deviation


def cohort(
    patients: int, rng: np.random.Generator, shift: float = 0.0
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Scores of the true class of patches, and whose they are; of one class, which is enough."""
    effect = rng.normal(0, 1, patients)
    count = rng.integers(3, 40, patients) + 20 * (effect > 0)
    patient = np.repeat(np.arange(patients), count)
    logit = 1.5 - shift + effect[patient] + rng.normal(0, 1, len(patient))
    own = 1 / (1 + np.exp(-logit))
    return np.stack([own, 1 - own], axis=1), np.zeros(len(patient), np.int64), patient


def coverages(patients: int, confidence: float, shift: float, calibrations: int) -> Floats:
    """Of each calibration: how probably a new patient's random patch has its class in its set."""
    rng = np.random.default_rng(patients)
    scores, _, patient = cohort(NEW, rng, shift)
    weight = 1 / np.bincount(patient)[patient] / NEW
    found = []
    for _ in range(calibrations):
        known, labels, whose = cohort(patients, rng)
        limits = calibrate(known, labels, Groups(whose), ["true", "other"])
        least = limits.least(confidence, ["true"])[0]
        found.append(weight[scores[:, 0] >= least].sum())
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibrations", type=int, default=200)
    calibrations = parser.parse_args().calibrations
    print("| confidence | calibration patients | mean coverage | 5 to 95 % of calibrations |")
    print("|---|---|---|---|")
    for confidence in CONFIDENCE:
        for patients in PATIENTS:
            found = coverages(patients, confidence, 0.0, calibrations)
            low, high = np.percentile(found, (5, 95))
            print(f"| {confidence} | {patients} | {found.mean():.3f} | {low:.3f} to {high:.3f} |")
    print("\n| logits lower by (SD of patients) | " + " | ".join(map(str, PATIENTS)) + " |")
    print("|---|" + "---|" * len(PATIENTS))
    for shift in SHIFTS:
        means = [coverages(n, 0.9, shift, calibrations).mean() for n in PATIENTS]
        print(f"| {shift} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")


if __name__ == "__main__":
    main()
