"""k-nearest neighbours at size: 100,000 × 1,024 reference, 10,000 queries, beside scikit-learn.

Time and peak memory of `histocnn.reference.neighbours` (neighbours, scores; then the novelty's
calibration) and of scikit-learn's KNeighborsClassifier on the same points, each in a process of
its own, so that neither pays for the other's memory. Run it on an idle machine:

    python benchmarks/knn.py
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

ROWS, WIDTH, QUERIES, K, CLASSES, PATIENTS = 100_000, 1_024, 10_000, 20, 5, 100


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((ROWS, WIDTH), np.float32)
    queries = rng.standard_normal((QUERIES, WIDTH), np.float32)
    return reference, rng.integers(0, CLASSES, ROWS), queries


def ours() -> None:
    from histocnn.reference.neighbours import UNI, Reference
    from histocnn.reference.votes import vote

    reference, labels, queries = data()
    groups = np.stack([np.arange(ROWS) % PATIENTS, np.arange(ROWS) % PATIENTS], axis=1)
    start = time.perf_counter()
    index = Reference(reference, groups, UNI)
    found = index.search(queries, np.full((QUERIES, 2), -1))
    scores = vote(labels[found.rows], found.distances, CLASSES, "uniform")
    report("histocnn", start)
    np.save(sys.argv[2], scores)
    if "--novelty" in sys.argv:
        start = time.perf_counter()
        index.novelty(found)
        report("novelty, calibrated once a run", start)


def sklearn() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    reference, labels, queries = data()
    start = time.perf_counter()
    mean = reference.mean(0)
    for points in (reference, queries):  # in place: this is what the protocol asks, at its leanest
        points -= mean
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    peer = KNeighborsClassifier(K, algorithm="brute").fit(reference, labels)
    scores = peer.predict_proba(queries)
    report("scikit-learn", start)
    np.save(sys.argv[2], scores)


def report(name: str, start: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name}: {time.perf_counter() - start:.1f} s, peak {peak:,.0f} MB resident", flush=True)


def main() -> None:
    print(
        f"{platform.machine()}, {os.cpu_count()} cores; {ROWS:,} × {WIDTH:,}, {QUERIES:,} queries"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, *more in (["sklearn"], ["ours"], ["sklearn"], ["ours", "--novelty"]):
            scores = f"{folder}/{name}.npy"
            subprocess.run([sys.executable, __file__, name, scores, *more], check=True)
        apart = np.load(f"{folder}/ours.npy") - np.load(f"{folder}/sklearn.npy")
        print(f"largest difference of the scores: {np.abs(apart).max():.2g}")


if __name__ == "__main__":
    {"ours": ours, "sklearn": sklearn}.get((sys.argv[1:] or [""])[0], main)()
