"""Stain: images/s per core of the HED jitter at 224 px, and the deviations it draws from.

    python benchmarks/stain.py [FOLDER_OF_PATCHES ...]

With folders of H&E patches it prints each stain's deviation over their stained pixels too.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2
import numpy as np

from histocnn.patches.images import read_image
from histocnn.patches.listing import SUFFIXES
from histocnn.slides import stain

ROUNDS, CALLS = 7, 200


def rate(call) -> float:
    """Calls per second: the best of several rounds, for others share the machine."""
    best = 0.0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        best = max(best, CALLS / (time.perf_counter() - start))
    return best


def deviation(folder: Path, rng: np.random.Generator) -> np.ndarray:
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES)
    amounts = []
    for file in np.array(files)[rng.permutation(len(files))[:400]]:
        pixels = read_image(Path(file)).reshape(-1, 3).astype(np.float64)
        density = -np.log((pixels + 1) / 256)
        density = density[density.mean(axis=1) > stain.MIN_OD]
        if len(density):
            amounts.append((density @ stain.HED_INVERSE)[rng.integers(0, len(density), 50)])
    return np.concatenate(amounts).std(axis=0)


def main() -> None:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    patch = rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    alpha, beta = stain.draw_hed_jitter(rng)
    for name, call in (
        ("HED jitter", lambda: stain.hed_jitter(patch, alpha, beta)),
        ("Macenko, applied", lambda: stain.normalise(patch, stain.REFERENCE)),
    ):
        print(f"{name}: {rate(call):.0f} images/s per core")
    found = [deviation(Path(folder), rng) for folder in sys.argv[1:]]
    for folder, values in zip(sys.argv[1:], found, strict=True):
        print(f"deviation of H, E, D in {Path(folder).name}: {np.round(values, 3)}")
    if found:
        print(f"mean: {np.round(np.mean(found, axis=0), 3)}; in use: {stain.HED_STD}")


if __name__ == "__main__":
    main()
