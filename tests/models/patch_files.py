"""Folders of small patches that a network can tell apart, and colour alone cannot."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.models.data import PatchDataModule
from histocnn.models.options import DataOptions
from histocnn.patches.grid import build_grid
from histocnn.slides.slide import Slide
from histocnn.storage import store
from tests.slide_files import position_image, write_pyramid

PATTERN = "(p[0-9]+)_"  # the patient in a name of `write_folder`


def module(path: Path, seed: int = 0, **options: object) -> PatchDataModule:
    """The patches of `write_folder` as training reads them, in this process."""
    usual = {"patient_pattern": PATTERN, "augment": "light", "workers": 0, "batch_size": 8}
    return PatchDataModule(DataOptions(path, **usual | options), seed)  # type: ignore[arg-type]


def patch(label: int, number: int, side_px: int = 28) -> NDArray[np.uint8]:
    """One disc or four small ones of the same area together; every number is another patch."""
    rng = np.random.default_rng((label, number))
    image = rng.integers(150, 200, (side_px, side_px, 3), dtype=np.uint8)
    quarter, colour = side_px // 4, tuple(int(c) for c in rng.integers(20, 80, 3))
    shift = rng.integers(-2, 3, 2)
    for x in (-1, 1) if label else (0,):
        for y in (-1, 1) if label else (0,):
            centre = (
                int(2 * quarter + x * quarter + shift[0]),
                int(2 * quarter + y * quarter + shift[1]),
            )
            cv2.circle(image, centre, (3 if label else 6) * side_px // 28, colour, -1)
    return image


def write_folder(
    folder: Path, *, patients: int = 12, per_patient: int = 6, side_px: int = 28
) -> Path:
    """`folder/<a|b>/p<patient>_<number>.png`; every patient has as many of each class."""
    for label, name in enumerate("ab"):
        (folder / name).mkdir(parents=True)
        for patient in range(patients):
            for i in range(per_patient):
                number = patient * per_patient + i
                path = folder / name / f"p{patient:02d}_{i}.png"
                cv2.imwrite(str(path), patch(label, number, side_px))
    return folder


def write_csv(folder: Path, sizes: Mapping[str, int]) -> Path:
    """`folder/patches.csv` with so many patches in each split, ten patients in each."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, number = [], 0
    for split, size in sizes.items():
        for i in range(size):
            label = i % 2
            cv2.imwrite(str(folder / f"{number:04d}.png"), patch(label, number))
            rows.append((f"{number:04d}.png", "ab"[label], f"{split}{i // 2 % 10}", split))
            number += 1
    with (folder / "patches.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([("path", "label", "patient_id", "split"), *rows])
    return folder / "patches.csv"


def write_grids(folder: Path, slides: int = 3) -> Path:
    """`folder/h5`: tiled slides, each of another patient, 12 patches each, one without a label."""
    for i in range(slides):
        path = folder / f"slide{i}.tiff"
        write_pyramid(path, np.roll(position_image(256, 192), 31 * i, axis=1), mpp=0.5)
        slide = Slide(path)
        grid = build_grid(slide.size_l0, slide.require_mpp(), patch_px=32, mpp=1.0)
        labels = np.arange(len(grid.coords)) % 2
        labels[0] = -1
        store.write(
            folder / "h5" / f"slide{i}.h5",
            {"coords": grid.coords, "cell": grid.cell, "labels": labels},
            {
                "slide_id": f"slide{i}", "patient_id": f"p{i}", "slide_path": str(path),
                "fingerprint": slide.fingerprint, "size_l0": slide.size_l0, "slide_mpp": slide.mpp,
                "patch_px": 32, "mpp": 1.0, "stride_px": 32, "labels.class_names": ["n", "t"],
            },
        )  # fmt: skip
    return folder / "h5"
