"""What a search finds on IDC, against the hand-set recipe, on patients that it never touched.

    python benchmarks/search_idc.py probes|trainings --patches IDC --weights SQUEEZENET --out OUT

IDC is a folder PATIENT/CLASS/*.png. The last of five folds of its patients is for test. `probes`:
layers × C of a logistic regression, minutes. `trainings`: three folds of the others, four epochs,
pruning, --minutes. Says best minus hand-set on the test patients, paired by patient.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from histocnn.cohort.splits import divide, write_split
from histocnn.evaluation.comparison import compare
from histocnn.evaluation.judged import judge
from histocnn.evaluation.options import Resampling
from histocnn.metrics.sections import Figure
from histocnn.models.rows import gather, group
from histocnn.patches.patches import open_patches
from histocnn.scores.scorefile import open_scores
from histocnn.stages.embed import embed
from histocnn.stages.search import search
from histocnn.stages.train import train

PATTERN = r"^(\d+)/"
FOLDS, SEED = 5, 0
LAYERS = {"l4": ["features.4"], "l7": ["features.7"], "l12": ["features.12"],
          "l4l7": ["features.4", "features.7"]}  # fmt: skip
PROBE = {"use": "l4l7", "c": 0.01}  # set by hand before any search
HAND_EPOCHS = 6  # of the hand-set training


def write_test_split(patches: Path, out: Path) -> Path:
    """OUT/split.csv: the last fold is test, 15 % of the others are validation."""
    rows = gather(open_patches(patches, patient_pattern=PATTERN), None, None)
    groups = group(rows, "patient")
    fold = divide(rows.labels, groups, [1 / FOLDS] * FOLDS, SEED)
    parts = np.full(len(rows), "test", dtype="<U5")
    outside = np.flatnonzero(fold != FOLDS - 1)
    inner = divide(rows.labels[outside], [groups[i] for i in outside], [0.85, 0.15], SEED)
    parts[outside] = np.where(inner == 0, "train", "val")
    out.mkdir(parents=True, exist_ok=True)
    write_split(out / "split.csv", groups, parts.tolist())
    return out / "split.csv"


def probes(patches: Path, weights: Path, out: Path, split: Path) -> Figure | None:
    """Search layers and C; the configuration's own values are the hand-set probe."""
    sets = {}
    for name, layers in LAYERS.items():
        sets[name] = str(out / "features" / name)
        embed(patches=patches, out=Path(sets[name]), backbone="squeezenet1_1", weights=str(weights),
              layers=tuple(layers), input_px=112, patient_pattern=PATTERN)  # fmt: skip
    space = {"features.use": list(LAYERS), "features.c": {"low": 1e-5, "high": 10.0, "log": True}}
    return searched(
        {
            "features": {"sets": sets, "split_file": str(split), **PROBE},
            "search": {"trials": 20, "folds": 3, "refit": True, "space": space},
        },
        out / "probes",
    )


def trainings(patches: Path, weights: Path, out: Path, split: Path, minutes: float) -> Figure:
    """Search trainings; the hand-set recipe is trained to its own six epochs beside the best."""
    hand = {
        "seed_everything": 0,
        "data": {"patches": str(patches), "patient_pattern": PATTERN, "split_file": str(split),
                 "input_px": 112, "augment": "light", "workers": 1},
        "model": {"backbone": "squeezenet1_1", "weights": str(weights), "learning_rate": 5e-4},
        "trainer": {"max_epochs": 4, "enable_progress_bar": False},
    }  # fmt: skip
    space = {
        "model.learning_rate": {"low": 1e-4, "high": 3e-3, "log": True},
        "model.backbone_factor": {"low": 0.05, "high": 1.0, "log": True},
        "model.dropout": [0.0, 0.2, 0.5],
        "model.weight_decay": {"low": 1e-3, "high": 0.3, "log": True},
        "data.augment": ["light", "histology"],
    }
    asked = {"trials": 40, "folds": 3, "minutes": minutes, "space": space}
    searched({**hand, "search": asked}, out / "trainings")
    words = [f"--out={out / 'hand'}", f"--trainer.max_epochs={HAND_EPOCHS}"]
    (out / "hand.yaml").write_text(json.dumps(hand))
    if not (out / "hand" / "metrics.json").exists():
        train(["--config", str(out / "hand.yaml"), *words])
    best, by_hand = (
        judge(open_scores(place / "scores.h5"))
        for place in (out / "trainings" / "best", out / "hand")
    )
    return compare(best, by_hand, Resampling(), ("best", "by hand")).figures["macro_auroc"].change


def searched(told: dict[str, Any], out: Path) -> Figure | None:
    """Search by a configuration; its best minus its own values on the test patients."""
    config = out.with_suffix(".yaml")
    config.write_text(json.dumps(told))
    found = search(config=config, out=out).result
    return found.difference if found else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("what", choices=("probes", "trainings"))
    for name in ("patches", "weights", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    asked = parser.parse_args()
    start, split = time.perf_counter(), write_test_split(asked.patches, asked.out)
    if asked.what == "probes":
        gap = probes(asked.patches, asked.weights, asked.out, split)
    else:
        gap = trainings(asked.patches, asked.weights, asked.out, split, asked.minutes)
    print(f"{time.perf_counter() - start:.0f} s; best minus by hand, AUROC: {gap}")
    (asked.out / f"{asked.what}.json").write_text(json.dumps(vars(gap) if gap else None))


if __name__ == "__main__":
    main()
