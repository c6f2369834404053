"""Judge a model of one laboratory on phantom laboratories, before and after `adapt`.

Each laboratory is one patient of two slides, one with tumour and one without, scored densely and
judged at the operating points of the model's validation (docs/benchmarks.md).

    histocnn demo --out demo
    python benchmarks/laboratories.py --model demo/model/model.safetensors --out labs --first 11
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import histocnn
from histocnn.evaluation.judged import judge
from histocnn.evaluation.options import Resampling
from histocnn.evaluation.patch_report import patch_report
from histocnn.models.spec import read_spec
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.scores.scorefile import open_scores

SIDE_PX, PENS = 3072, ("blue", "green", "black", "red")
FIGURES = ("AUROC", "sensitivity", "specificity", "balanced accuracy", "ECE", "slides apart")


def laboratory(lab: int, out: Path) -> Path:
    """Make a laboratory's two slides and their sheet."""
    (out / "slides").mkdir(parents=True, exist_ok=True)
    rows = []
    for turn, label in enumerate(("tumour", "normal")):
        number = 2 * lab + turn
        name = f"lab_{lab:02d}_{label}"
        spec = PhantomSpec(
            (SIDE_PX, SIDE_PX), seed=900_000 + number, lab=str(lab),
            lesions=0 if turn else 1 + lab % 3,
            pen=PENS[lab % 4] if number % 3 == 2 else None,
            blur=number % 4 == 3,
        )  # fmt: skip
        truth = make_phantom(out / "slides" / f"{name}.tif", spec)
        truth.to_geojson(out / "slides" / f"{name}.geojson", ("tumour",))
        rows.append({
            "slide_id": name, "slide_path": f"slides/{name}.tif", "patient_id": f"lab_{lab:02d}",
            "label": label, "annotation_path": "" if turn else f"slides/{name}.geojson",
            "background": "normal",
        })  # fmt: skip
    with (out / "slides.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return out / "slides.csv"


def figures(scores: Path, threshold: float, target: str) -> tuple[float, ...]:
    """In the order of `FIGURES`; the last is 1 where the slide with tumour has the higher score."""
    files = open_scores(scores)
    judged = judge(files)
    report = patch_report(judged, Resampling(replicates=1))
    own = judged.class_names.index(target)
    called, kept = judged.scores[:, own] >= threshold, judged.judged
    sensitivity = called[kept & (judged.labels == own)].mean()
    specificity = 1 - called[kept & (judged.labels != own)].mean()
    highest = {file.slide_id: float(np.nanmax(file.scores()[:, own])) for file in files}
    tumour, normal = (
        next(score for name, score in highest.items() if name.endswith(label))
        for label in ("tumour", "normal")
    )
    auroc, ece = (report.figures[name].value or 0.0 for name in ("macro_auroc", "ece"))
    return auroc, sensitivity, specificity, (sensitivity + specificity) / 2, ece, tumour > normal


def judged_laboratory(lab: int, model: Path, out: Path) -> Iterable[tuple[str, tuple[float, ...]]]:
    """Figures of a laboratory as trained, and adapted to it."""
    spec, target = read_spec(model), "tumour"
    sheet, grids = laboratory(lab, out), out / "grids"
    histocnn.tile(sheet, grids, patch_px=spec.patch_px, mpp=spec.mpp, workers=1)
    histocnn.adapt(grids, model, out / "adapted.safetensors")
    point = spec.calibration(dense=True)["thresholds"][target]["youden"]
    for state, own in (("as trained", model), ("adapted", out / "adapted.safetensors")):
        histocnn.predict(grids, own, out / state, dense=True, slides=sheet)
        yield state, figures(out / state, point["threshold"], target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first", type=int, default=11)
    parser.add_argument("--labs", type=int, default=10)
    options = parser.parse_args()
    found: dict[str, list[Any]] = {}
    for lab in range(options.first, options.first + options.labs):
        for state, row in judged_laboratory(lab, options.model, options.out / str(lab)):
            found.setdefault(state, []).append(row)
            print(lab, state, *(f"{value:.3f}" for value in row), flush=True)
    print("| | " + " | ".join(FIGURES) + " |\n" + "|---" * (len(FIGURES) + 1) + "|")
    for state, rows in found.items():
        means, least = np.mean(rows, axis=0), np.min(rows, axis=0)
        cells = [f"{m:.3f} ({w:.3f})" for m, w in zip(means, least, strict=True)]
        print(f"| {state}, mean (lowest) | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
