"""Feature files as embed would write them, of features made up on the spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from histocnn.patches.patches import open_patches
from histocnn.reference.stored import StoredRows
from histocnn.storage import store

TINY = {"backbone": "tiny", "weights": "0" * 64}


def write_features(
    path: Path,
    *,
    n: int = 10,
    patients: Sequence[str] = ("",),
    classes: Sequence[str] = ("a", "b"),
    width: int = 8,
    seed: int = 0,
    shift: float = 0.0,
    nan_rows: Sequence[int] = (),
    labelled: bool = True,
    network: Mapping[str, Any] = TINY,
    mpp: float = 0.5,
    like: Path | None = None,
    cohorts: Sequence[str] | None = (),
    colour: Any = None,
) -> Path:
    """Features [n, width], normal; class i is 2 × i further along the first.

    Labels and patients take turns. With `like`, the patches are those of a grid or folder. The
    network saw no patient, or the `cohorts` of its training; None: the file does not say.
    `colour`: [n, 6].
    """
    rng = np.random.default_rng(seed)
    if like is None:
        datasets: dict[str, Any] = {
            "paths": [f"{i}.png" for i in range(n)],
            "patient_ids": [patients[i * len(patients) // max(n, 1)] for i in range(n)],
            "labels": np.arange(n) % len(classes) if labelled else np.full(n, -1),
        }
        attributes: dict[str, Any] = {
            "slide_id": path.stem,
            "slide_path": str(path.parent),
            "labels.class_names": list(classes),
            "patch_px": 28,
            "mpp": mpp,
        }
    else:
        [patches] = open_patches(like, mpp=mpp if any(like.rglob("*.png")) else None)
        datasets, attributes = patches.carried()
    labels = np.asarray(datasets["labels"])
    features = rng.normal(size=(len(labels), width)).astype(np.float32) + np.float32(shift)
    features[:, 0] += 2 * labels
    features[list(nan_rows)] = np.nan
    if colour is not None:
        datasets = {**datasets, "colour": np.asarray(colour, np.float32)}
    recipe = {"stage": "embed", "network": dict(network)}
    if cohorts is not None:
        datasets = {**datasets, "network_cohorts": list(cohorts)}
    store.write(path, {**datasets, "features": features}, {**attributes, "recipe": recipe})
    return path


def stored_rows(folder: Path, parts: Sequence[np.ndarray]) -> StoredRows:
    """Features [N, D] that stay in a file for each part."""
    files = [folder / f"part{i}.h5" for i in range(len(parts))]
    for path, part in zip(files, parts, strict=True):
        store.write(path, {"features": part}, {"slide_id": path.stem})
    return StoredRows(files, *places_in(parts), parts[0].shape[1])


def places_in(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Which part, and which row of it, each row of all is."""
    lengths = [len(part) for part in parts]
    row = np.concatenate([np.arange(length) for length in lengths])
    return np.repeat(np.arange(len(parts)), lengths), row
