"""Does knn's verdict tell other laboratories from the reference's? On phantoms, per slide.

Slides of laboratory A, each of a patient of its own, are the reference; the query are others of A
and of thirteen laboratories with other stains: B, C, D, and ten whose stains are drawn from the
range that these span. Features are SqueezeNet's.

    python benchmarks/cover.py --weights squeezenet1_1-imagenet.safetensors --work /tmp/cover

With pytorch-ood installed two of its detectors stand beside it, by their median over a slide.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

import histocnn
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.phantom.stain import LABS
from histocnn.reference.features import feature_files, load
from histocnn.storage import store

SIZE_PX = 2048
OWN, EACH, DRAWN = 20, 2, 10  # slides of A on either side, of each other laboratory; laboratories


def laboratories() -> list[str]:
    """The known ones but A, and others evenly from their range, added to the table for this run."""
    known = np.array([[*h, *e, *gains] for h, e, *gains in LABS.values()])
    others = [name for name in LABS if name != "A"]
    for number in range(1, DRAWN + 1):
        drawn = np.random.default_rng([number, 1]).uniform(known.min(axis=0), known.max(axis=0))
        h, e, gains = tuple(drawn[:3]), tuple(drawn[3:6]), drawn[6:]
        LABS[f"drawn{number}"] = h, e, float(gains[0]), float(gains[1])
        others.append(f"drawn{number}")
    return others


def write_slides(folder: Path, slides: list[tuple[str, int]]) -> Path:
    """Phantoms of (laboratory, seed) and their slides.csv; every other one has tumour."""
    (folder / "slides").mkdir(parents=True, exist_ok=True)
    rows = []
    for lab, seed in slides:
        name = f"{lab}_{seed}"
        path, outline = folder / "slides" / f"{name}.tif", folder / "slides" / f"{name}.geojson"
        if not path.exists():
            spec = PhantomSpec((SIZE_PX, SIZE_PX), seed=seed, lab=lab, lesions=seed % 2)
            make_phantom(path, spec).to_geojson(outline, ("tumour",))
        annotation = outline.relative_to(folder) if seed % 2 else ""
        rows.append([name, path.relative_to(folder), name, annotation, "normal"])
    with (folder / "slides.csv").open("w", newline="") as file:
        header = ["slide_id", "slide_path", "patient_id", "annotation_path", "background"]
        csv.writer(file).writerows([header, *rows])
    return folder / "slides.csv"


def features(folder: Path, slides: list[tuple[str, int]], weights: str) -> Path:
    """Tile and embed them."""
    table = write_slides(folder, slides)
    histocnn.tile(table, folder / "grids", patch_px=112, mpp=1.0)
    histocnn.embed(folder / "grids", folder / "features", "squeezenet1_1", weights)
    return folder / "features"


def yardsticks(reference: Path, query: list[Path]) -> dict[str, list[float]]:
    """Of pytorch-ood, where it is there: per slide the median of its patches' scores."""
    try:
        import torch
        from pytorch_ood.detector import KNN, Mahalanobis
    except ImportError:
        return {}
    known = load(feature_files(reference)).labelled()
    found = {}
    for detector in (KNN(None), Mahalanobis(None)):
        detector.fit_features(torch.tensor(known.values), torch.tensor(known.labels))
        scores = [detector.predict_features(torch.tensor(load([f]).values)) for f in query]
        name = f"pytorch-ood {type(detector).__name__}"
        found[name] = [float(np.median(own.numpy())) for own in scores]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1000)
    options = parser.parse_args()
    seed, work = options.seed, options.work
    mine = [("A", seed + i) for i in range(2 * OWN)]
    others = [
        (lab, seed + 100 + EACH * i + j)
        for i, lab in enumerate(laboratories())
        for j in range(EACH)
    ]
    reference = features(work / "reference", mine[:OWN], options.weights)
    query = features(work / "query", mine[OWN:] + others, options.weights)
    histocnn.knn(reference, query, work / "scores")
    files = sorted((work / "scores").glob("*.h5"))
    found = [store.attributes(file)["cover"] for file in files]
    other = np.array([not file.name.startswith("A_") for file in files])
    columns = {key: [own[key] for own in found] for key in ("median_novelty", "share_new", "apart")}
    columns |= yardsticks(reference, [query / file.name for file in files])
    print(f"{(~other).sum()} slides of the reference's laboratory, {other.sum()} of others")
    print("| per slide | AUROC of telling other laboratories |\n|---|---|")
    for name, values in columns.items():
        print(f"| {name} | {roc_auc_score(other, values):.3f} |")
    flagged = np.array([not own["covered"] for own in found])
    print(f"called not covered: {flagged[other].sum()} of {other.sum()} of other laboratories, "
          f"{flagged[~other].sum()} of {(~other).sum()} of its own")  # fmt: skip


if __name__ == "__main__":
    main()
