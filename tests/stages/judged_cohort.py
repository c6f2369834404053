"""A cohort of scored slides, written on the spot: no pixels, but annotations, truth and scores."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from histocnn.patches.grid import build_grid
from histocnn.storage import store

SIZE_L0, MPP = (4000, 3000), (0.5, 0.5)  # 2 × 1.5 mm
CLASSES = ("normal", "tumour")
FIELDS = ("slide_id", "slide_path", "patient_id", "label", "split", "annotation_path", "background",
          "center")  # fmt: skip


class Cohort(NamedTuple):
    """Where the cohort lies."""

    scores: Path
    slides: Path


def square(x: float, y: float, side: float) -> list[list[float]]:
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]


def write_geojson(path: Path, squares: list[tuple[float, float, float]], name: str) -> None:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [square(*s)]},
            "properties": {"objectType": "annotation", "classification": {"name": name}},
        }
        for s in squares
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def write_cohort(
    folder: Path,
    *,
    patients: int = 8,
    shift: float = 2.0,
    seed: int = 0,
    class_names: tuple[str, str] = CLASSES,
    drop: tuple[str, ...] = (),
    **attributes: Any,
) -> Cohort:
    """Slides of 20 × 15 patches, every other one with a tumour of 4 × 4 patches (800 level-0 px).

    Args:
        folder: Gets scores/, slides.csv and annotations.
        patients: Of one slide each.
        shift: How far apart the classes' logits are.
        seed: Of the scores.
        class_names: Of the scores; the truth is always normal and tumour.
        drop: Datasets that are not written.
        attributes: More of every file.
    """
    rng = np.random.default_rng(seed)
    scores, rows = folder / "scores", []
    scores.mkdir(parents=True)
    grid = build_grid(SIZE_L0, MPP, patch_px=100, mpp=1.0)
    for i in range(patients):
        slide, tumour = f"slide_{i:02d}", i % 2 == 1
        at = (400.0 + 200 * (i % 3), 600.0)
        centre = grid.boxes_l0()[:, :2] + 100
        inside = tumour & ((centre >= at) & (centre < np.add(at, 800))).all(axis=1)
        logit = rng.normal(size=len(grid)) + rng.normal() * 0.5 + shift * (2 * inside - 1)
        p = 1 / (1 + np.exp(-logit))
        datasets = {
            "coords": grid.coords,
            "cell": grid.cell,
            "labels": inside.astype(np.int64),
            "coverage": np.stack([0 * inside, inside], axis=1).astype(np.float32),
            "colour": np.column_stack([150 - 40 * inside + 10 * rng.normal(size=len(grid))] * 6),
            "scores": np.stack([1 - p, p], axis=1).astype(np.float32),
        }
        store.write(
            scores / f"{slide}.h5",
            {name: array for name, array in datasets.items() if name not in drop},
            {
                **grid.attributes(),
                "slide_id": slide,
                "patient_id": f"patient_{i:02d}",
                "slide_path": str(folder / f"{slide}.tif"),
                "seen": "no",
                "recipe": {"stage": "predict", "model": "/home/somebody/model.safetensors"},
                **({} if "labels" in drop else {"labels.class_names": list(CLASSES)}),
                "scores.class_names": list(class_names),
                **attributes,
            },
        )
        (folder / f"{slide}.tif").write_bytes(b"gone")
        annotation = ""
        if tumour:
            annotation = f"{slide}.geojson"
            write_geojson(folder / annotation, [(*at, 800.0)], "tumour")
        rows.append(
            [slide, f"{slide}.tif", f"patient_{i:02d}", "", "test" if i else "train", annotation,
             "normal", "AB"[i % 4 > 1]]
        )  # fmt: skip
    with (folder / "slides.csv").open("w", newline="") as file:
        csv.writer(file).writerows([FIELDS, *rows])
    return Cohort(scores, folder / "slides.csv")
