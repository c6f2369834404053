"""k-NN in memory and with a reference of millions, against scikit-learn and brute force.

Rows are drawn from a mixture that is fitted to real features (those of `embed`, given with
`--features`; else they are normal): principal components, 48 Gaussians with variances of their own.
Every figure is of a process of its own. Run it on an idle machine:

    python benchmarks/knn.py --features FILE [FILE ...] --data FOLDER make
    python benchmarks/knn.py --data FOLDER growth   # 0.25 to 2 million × 512
    python benchmarks/knn.py --data FOLDER sklearn  # 100,000 × 1,024, block by block
    python benchmarks/knn.py --data FOLDER memory   # the same, held in memory, and novelty
    python benchmarks/knn.py --data FOLDER index --rows 500000
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

FILE_ROWS, K, MEMORY = 10_000, 20, 1e9
LARGE, QUERIES, WIDE, WIDE_QUERIES = 2_000_000, 2_000, 100_000, 10_000


class Mixture:
    """What real features are like: a mixture of Gaussians on their principal components."""

    def __init__(self, files: list[str]) -> None:
        from sklearn.decomposition import PCA
        from sklearn.mixture import GaussianMixture

        from histocnn.patches.door import read_features

        real = np.concatenate([read_features(Path(file)) for file in files])
        real = real[np.isfinite(real).all(1)]
        self.basis = PCA(whiten=False, random_state=0).fit(real)
        points = self.basis.transform(real)
        self.of = GaussianMixture(48, covariance_type="diag", random_state=0, max_iter=50).fit(
            points
        )
        print(f"fitted to {real.shape[0]:,} × {real.shape[1]} real features", flush=True)

    def draw(self, rows: int, rng: np.random.Generator, parts: int = 1) -> np.ndarray:
        """float16 [rows, parts × width]; a row's parts are of one component."""
        which = np.sort(rng.choice(len(self.of.weights_), rows, p=self.of.weights_))
        deviation = np.sqrt(self.of.covariances_).astype(np.float32)[which]
        mean = self.of.means_.astype(np.float32)[which]
        drawn = []
        for _ in range(parts):
            points = mean + deviation * rng.standard_normal(mean.shape, np.float32)
            values = points @ self.basis.components_.astype(np.float32)
            drawn.append(values + self.basis.mean_.astype(np.float32))
        return np.concatenate(drawn, axis=1).astype(np.float16)


def normal(rows: int, rng: np.random.Generator, parts: int = 1) -> np.ndarray:
    """As `Mixture.draw` where no real features are at hand."""
    return rng.standard_normal((rows, 512 * parts), np.float32).astype(np.float16)


def make(data: Path, files: list[str]) -> None:
    from histocnn.storage import store

    draw, rng = Mixture(files).draw if files else normal, np.random.default_rng(0)
    for name, rows, queries, parts in (
        ("large", LARGE, QUERIES, 1),
        ("wide", WIDE, WIDE_QUERIES, 2),
    ):
        for number in range(rows // FILE_ROWS):
            features = draw(FILE_ROWS, rng, parts)
            coords = np.stack([np.arange(FILE_ROWS) * 224, np.zeros(FILE_ROWS, int)], axis=1)
            store.write(
                data / name / f"s{number:04d}.h5",
                {"features": features, "coords": coords, "labels": np.arange(FILE_ROWS) % 5},
                {"slide_id": f"s{number:04d}", "patient_id": f"p{number // 2:04d}",
                 "labels.class_names": [*"abcde"]},
            )  # fmt: skip
        np.save(data / f"{name}.npy", draw(queries, rng, parts).astype(np.float32))
    print("made", flush=True)


def peak_gb() -> float:
    """The most memory that this process has held."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9


def loaded(data: Path, name: str, rows: int, stay: bool = True):
    """The reference's first rows, left in their files."""
    from histocnn.reference.features import feature_files, load

    return load(feature_files(data / name)[: rows // FILE_ROWS], stay=stay).labelled()


def ours(data: Path, name: str, rows: int, held: bool = False) -> None:
    """Time of reading, and of the search of queries of one patient of the reference."""
    from histocnn.reference.large import LargeReference
    from histocnn.reference.neighbours import UNI, Reference
    from histocnn.reference.votes import vote

    queries = np.load(data / f"{name}.npy")
    start = time.perf_counter()
    examples = loaded(data, name, rows, stay=not held)
    if held:
        index = Reference(examples.values, examples.groups, UNI)
    else:
        index = LargeReference(examples.rows, examples.groups, UNI, MEMORY)
    read = time.perf_counter()
    groups = np.full((len(queries), 2), -1)
    if name == "large":
        groups[:, 0] = 3  # all but this patient's
    found = index.search(queries, groups)
    end = time.perf_counter()
    vote(examples.labels[found.rows], found.distances, 5, "uniform")
    flop = 2.0 * len(queries) * rows * queries.shape[1]
    used = os.times()
    print(
        f"histocnn {rows:,} × {queries.shape[1]}, {len(queries):,} queries: read "
        f"{read - start:.1f} s, searched {end - read:.1f} s, {flop / (end - read) / 1e9:.0f} "
        f"GFLOP/s, all {time.perf_counter() - start:.1f} s, CPU "
        f"{used.user + used.system:.0f} s, peak {peak_gb():.2f} GB",
        flush=True,
    )
    np.save(data / f"{name}-{rows}-found.npy", found.rows)
    if held:
        start = time.perf_counter()
        index.novelty(found)
        print(f"novelty, calibrated once a run: {time.perf_counter() - start:.1f} s")


def check(data: Path, name: str, rows: int) -> None:
    """Brute force in double precision for 20 of the queries: each file after the other."""
    from histocnn.reference.features import feature_files
    from histocnn.storage import store

    found = np.load(data / f"{name}-{rows}-found.npy")
    chosen = np.arange(0, len(found), len(found) // 20)
    queries = np.load(data / f"{name}.npy")[chosen].astype(np.float64)
    files = feature_files(data / name)[: rows // FILE_ROWS]
    parts = [store.read(file, "features")["features"] for file in files]
    kept = [i for i in range(len(files)) if name != "large" or i // 2 != 3]
    count = FILE_ROWS * len(kept)
    mean = sum(parts[i].astype(np.float64).sum(0) for i in kept) / count
    queries -= mean
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    apart = np.full((len(queries), rows), np.inf)
    for i in kept:
        points = parts[i].astype(np.float64) - mean
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        cosine = queries @ points.T
        apart[:, i * FILE_ROWS : (i + 1) * FILE_ROWS] = np.sqrt(np.maximum(2 - 2 * cosine, 0))
    exact = np.argsort(apart, axis=1, kind="stable")[:, :K]
    own = np.take_along_axis(apart, found[chosen], 1)
    best = np.take_along_axis(apart, exact, 1)
    print(
        f"{len(chosen)} queries by brute force: {(exact == found[chosen]).mean():.2%} of the rows "
        f"in the same place, distances differ by {np.abs(own / best - 1).max():.1e} at most"
    )


def approximate(data: Path, name: str, rows: int, kind: str) -> None:
    """Queries per second through an index, built and tuned first, against the exact search."""
    from histocnn.reference.ann import IndexedReference, recall
    from histocnn.reference.large import LargeReference
    from histocnn.reference.neighbours import UNI

    queries = np.load(data / f"{name}.npy")[:QUERIES]
    groups = np.full((len(queries), 2), -1)
    groups[:, 0] = 3
    examples = loaded(data, name, rows)
    start = time.perf_counter()
    index = IndexedReference(examples, UNI, kind, 4e9)
    built = time.perf_counter() - start
    exact = LargeReference(examples.rows, examples.groups, UNI, MEMORY)
    exact.means = index.means
    took: dict[str, list[float]] = {"exact": [], kind: []}
    for _ in range(2):
        for who, by in (("exact", exact), (kind, index)):
            start = time.perf_counter()
            found = by.search(queries, groups)
            took[who].append(time.perf_counter() - start)
            if who == "exact":
                truth = found
    rate = {who: len(queries) / min(seconds) for who, seconds in took.items()}
    print(
        f"{kind} {rows:,} × {queries.shape[1]}, {len(queries):,} queries: {index._had or 'kept'}, "
        f"{built:.0f} s, effort {index.effort}, recall@{K} {recall(found, truth):.4f}, "
        f"{rate[kind]:.0f} queries/s, exact {rate['exact']:.0f}, peak {peak_gb():.2f} GB; all: "
        + ", ".join(f"{who} {seconds:.1f} s" for who, each in took.items() for seconds in each),
        flush=True,
    )


def peer(data: Path, name: str, rows: int) -> None:
    """scikit-learn on the same files, at its leanest: read, centred and scaled in place."""
    from sklearn.neighbors import KNeighborsClassifier

    from histocnn.reference.features import feature_files
    from histocnn.storage import store

    queries = np.load(data / f"{name}.npy")
    start = time.perf_counter()
    points = np.empty((rows, queries.shape[1]), np.float32)
    for i, file in enumerate(feature_files(data / name)[: rows // FILE_ROWS]):
        points[i * FILE_ROWS : (i + 1) * FILE_ROWS] = store.read(file, "features")["features"]
    mean = points.mean(0)
    for each in (points, queries):
        each -= mean
        each /= np.linalg.norm(each, axis=1, keepdims=True)
    model = KNeighborsClassifier(K, algorithm="brute").fit(points, np.arange(rows) % 5)
    model.predict_proba(queries)
    used = os.times()
    print(
        f"scikit-learn {rows:,} × {queries.shape[1]}, {len(queries):,} queries: all "
        f"{time.perf_counter() - start:.1f} s, CPU "
        f"{used.user + used.system:.0f} s, peak {peak_gb():.2f} GB",
        flush=True,
    )


def alone(*words: object) -> None:
    subprocess.run([sys.executable, __file__, *map(str, words)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--features", nargs="*", default=[])
    parser.add_argument("--name", default="large")
    parser.add_argument("--rows", type=int, default=LARGE)
    given = parser.parse_args()
    one = ("--data", given.data, "--name")
    if given.what == "make":
        make(given.data, given.features)
    elif given.what == "growth":
        for rows in (250_000, 500_000, 1_000_000, 2_000_000):
            alone("ours", *one, "large", "--rows", rows)
        alone("check", *one, "large")
    elif given.what in ("sklearn", "memory"):
        for what in ("peer", "ours" if given.what == "sklearn" else "held") * 2:
            alone(what, *one, "wide", "--rows", WIDE)
        alone("check", *one, "wide", "--rows", WIDE)
    elif given.what == "index":
        for kind in ("ivf", "hnsw"):
            alone(kind, *one, given.name, "--rows", given.rows)
    elif given.what in ("ivf", "hnsw"):
        approximate(given.data, given.name, given.rows, given.what)
    else:
        acts = {"ours": ours, "held": partial(ours, held=True), "check": check, "peer": peer}
        acts[given.what](given.data, given.name, given.rows)


if __name__ == "__main__":
    main()
