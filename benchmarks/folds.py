"""Out-of-fold figures of fine-tuning, minus colour alone and minus a frozen network's 20-NN.

    python benchmarks/folds.py --folds 5 --out OUT --config configs/train.yaml --data.patches …

Words that are not its own go to `histocnn train`, once per fold. Of the patches outside a fold
15 % are for validation; every choice is made there.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from histocnn.cohort.splits import divide, write_split
from histocnn.metrics.intervals import bootstrap, paired_bootstrap
from histocnn.metrics.tally import tally
from histocnn.models.backbones import build
from histocnn.models.device import choose_bf16, choose_device
from histocnn.models.infer import infer
from histocnn.models.networks import Embedder
from histocnn.models.rows import gather, group
from histocnn.models.runner import Runner
from histocnn.models.spec import ModelSpec
from histocnn.models.stain_split import with_stain_groups
from histocnn.patches.patches import open_patches
from histocnn.pictures import curves
from histocnn.reference import neighbours
from histocnn.reference.colour import colour_baseline
from histocnn.stages.train import train
from histocnn.storage import store

SEED = 0
COMPARED = ("accuracy", "balanced_accuracy", "macro_auroc")


def only(values, names):
    return lambda weights: {k: v for k, v in values(weights).items() if k in names}


def options() -> tuple[argparse.Namespace, list[str], argparse.Namespace]:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", type=int, nargs="*", help="Train these folds, compare nothing.")
    parser.add_argument("--out", type=Path, required=True)
    mine, words = parser.parse_known_args()
    data = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("data.patches", "data.patient_pattern", "data.split_by", "data.input_px",
                 "model.backbone", "model.weights"):  # fmt: skip
        data.add_argument(f"--{name}", dest=name.partition(".")[2])
    return mine, words, data.parse_known_args(words)[0]


def frozen_features(source, asked) -> np.ndarray:
    """The backbone's features before any training, [N, D]."""
    device = choose_device()
    network = Embedder(build(asked.backbone, 0, asked.weights).backbone).eval()
    spec = ModelSpec(asked.backbone, input_px=int(asked.input_px) if asked.input_px else None)
    run = Runner(network, spec, device, choose_bf16("auto", device), lambda z: {"features": z})
    found = np.full((len(source), network(torch_probe(spec)).shape[1]), np.nan, np.float32)
    for rows, arrays in infer(source, run):
        found[rows] = arrays["features"]
    return found


def torch_probe(spec):
    import torch

    side = spec.input_px or 224
    return torch.zeros(1, 3, side, side)


def main() -> None:
    mine, words, asked = options()
    sources = open_patches(Path(asked.patches), patient_pattern=asked.patient_pattern)
    rows = gather(sources, None, None)
    if asked.split_by == "stain":
        rows = with_stain_groups(rows)
    groups = group(rows, asked.split_by or "patient")
    fold_of = divide(rows.labels, groups, [1 / mine.folds] * mine.folds, SEED)
    names = list(rows.class_names)
    scores = np.full((len(rows), len(names)), np.nan, np.float32)
    colours = np.full((len(rows), 6), np.nan, np.float32)
    row_of = {path: i for i, path in enumerate(rows.sources[0].paths)}
    start = time.perf_counter()
    for fold in range(mine.folds) if mine.only is None else mine.only:
        out = mine.out / f"fold{fold}"
        parts = np.full(len(rows), "test", dtype="<U5")
        outside = np.flatnonzero(fold_of != fold)
        inner = divide(rows.labels[outside], [groups[i] for i in outside], [0.85, 0.15], SEED)
        parts[outside] = np.where(inner == 0, "train", "val")
        write_split(mine.out / f"split{fold}.csv", groups, [str(p) for p in parts])
        if not (out / "metrics.json").exists():
            train(
                [*words, "--out", str(out), "--data.split_file", str(mine.out / f"split{fold}.csv")]
            )
        found = store.read(out / "scores.h5")
        here = [row_of[path] for path in found["paths"]]
        scores[here], colours[here] = found["scores"], found["colour"]
    print(f"{time.perf_counter() - start:.0f} s of training")
    if mine.only is None:
        compare(mine, asked, rows, groups, fold_of, scores, colours)


def compare(mine, asked, rows, groups, fold_of, scores, colours) -> None:
    names, labels = list(rows.class_names), rows.labels
    features = np.float32(frozen_features(rows.sources[0], asked)[rows.row])
    frozen, colour = np.full_like(scores, np.nan), np.full_like(scores, np.nan)
    for fold in range(mine.folds):
        test, other = fold_of == fold, fold_of != fold
        colour[test] = colour_baseline(colours[other], labels[other], colours[test], len(names))
        known = other & np.isfinite(features).all(1)
        unknown = np.full((int(known.sum()), 1), -1)
        reference = neighbours.Reference(features[known], unknown, neighbours.Knn(20))
        found = reference.search(features[test], np.full((int(test.sum()), 1), -1))
        frozen[test] = neighbours.vote(
            labels[known][found.rows], found.distances, len(names), "distance"
        )
    units, unit = np.unique(groups, return_inverse=True)
    tallies = {
        name: tally(values, labels, unit, names)
        for name, values in (
            ("fine-tuned", scores),
            ("colour only", colour),
            ("frozen 20-NN", frozen),
        )
    }
    result = {"patches": len(rows), "groups": len(units)}
    for name, counted in tallies.items():
        once, intervals = counted.figures(), bootstrap(counted.figures, counted.patches)
        result[name] = {k: [float(once[k][0]), *intervals.bounds[k]] for k in COMPARED}
    first = tallies["fine-tuned"]
    for name in ("colour only", "frozen 20-NN"):
        other = only(tallies[name].figures, COMPARED)
        pairs = paired_bootstrap(only(first.figures, COMPARED), other, first.patches)
        result[f"fine-tuned minus {name}"] = {k: list(v) for k, v in pairs.items()}
    for name, values in result.items():
        if isinstance(values, dict):
            print(name, {k: [round(float(x), 4) for x in v] for k, v in values.items()})
    (mine.out / "folds.json").write_text(json.dumps(result, indent=2))
    picture = curves.confusion(first.confusion.sum(axis=0).astype(int), names, "out of fold")
    curves.save_png(picture, mine.out / "confusion.png")


if __name__ == "__main__":
    main()
