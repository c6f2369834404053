"""What a score every 32 px costs: whole `predict` commands, dense against patch by patch.

ResNet-18 with random weights, patches of 224 px at 0.5 µm/px, synthetic slides that have that
level, torch on one thread, CPU and wall seconds from the stage's start to its file in place:

    compact     tissue everywhere on 8,192 × 8,192 px
    sparse      a core of 1,024 × 8,192 px
    overlapping patches of a grid with 192 px overlap, on 704 × 704 px, scaled by their number
                to the windows of the compact slide

Patches and windows are scored in turns; the first dense turn also proves that the network slides.

    python benchmarks/dense.py [--precision bf16] [--turns 2]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch
from embed import cpu_name

from histocnn import predict, tile
from histocnn.models.backbones import build
from histocnn.models.spec import ModelSpec, save
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.storage import store

PATCH_PX, STRIDE_PX, MPP, NAME = 224, 32, 0.5, "resnet18"
SIDE_PX, CORE_PX, AREA_PX = 8192, 1024, 704


class Cost(NamedTuple):
    """Of one command."""

    rows: int
    cpu_s: float
    wall_s: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--turns", default=1, type=int)
    options = parser.parse_args()
    precision, turns = options.precision, options.turns
    torch.set_num_threads(1)
    print(f"{cpu_name()}, {os.cpu_count()} cores; torch {torch.__version__}; {NAME}, {precision}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.manual_seed(0)
        spec = ModelSpec(NAME, class_names=("normal", "tumour"), patch_px=PATCH_PX, mpp=MPP)
        save(folder / "model.safetensors", build(NAME, 2), spec)
        whole, core, area = (SIDE_PX, SIDE_PX), (CORE_PX, SIDE_PX), (AREA_PX, AREA_PX)
        overlapping = grids(folder, "overlapping", area, 2 * AREA_PX, PATCH_PX - STRIDE_PX)
        apart = cost(folder, overlapping, False, precision)
        windows = compared(folder, grids(folder, "compact", whole, 2 * SIDE_PX), precision, turns)
        for what, dense, each in (
            ("CPU", windows.cpu_s, apart.cpu_s),
            ("wall", windows.wall_s, apart.wall_s),
        ):
            scaled = each / apart.rows * windows.rows
            print(
                f"overlapping, {what}: {each:.1f} s for {apart.rows:,} patches, {scaled:,.0f} s "
                f"for {windows.rows:,}: {scaled / dense:.1f} × the dense"
            )
        compared(folder, grids(folder, "sparse", (2 * CORE_PX, SIDE_PX), core), precision, turns)


def grids(
    folder: Path, name: str, size_px: tuple[int, int], tissue_px: object, overlap_px: int = 0
) -> Path:
    """A slide and its grid."""
    slide = folder / f"{name}.tif"
    section = (tissue_px, tissue_px) if isinstance(tissue_px, int) else tissue_px
    make_phantom(slide, PhantomSpec(size_px, mpp=MPP, tissue_px=section))  # type: ignore[arg-type]
    tile(slide, folder / name, patch_px=PATCH_PX, mpp=MPP, overlap_px=overlap_px)
    return folder / name


def compared(folder: Path, patches: Path, precision: str, turns: int) -> Cost:
    """Patches and windows in turns, printed; the last dense turn's cost."""
    for turn in range(turns):
        plain = cost(folder, patches, False, precision)
        dense = cost(folder, patches, True, precision)
        print(
            f"{patches.name}, turn {turn + 1}: {plain.rows:,} patches {plain.cpu_s:.1f} s of CPU, "
            f"{plain.wall_s:.1f} s; {dense.rows:,} windows {dense.cpu_s:.1f} s, "
            f"{dense.wall_s:.1f} s: {dense.cpu_s / plain.cpu_s:.2f} × and "
            f"{dense.wall_s / plain.wall_s:.2f} ×",
            flush=True,
        )
    return dense


def cost(folder: Path, patches: Path, dense: bool, precision: str) -> Cost:
    """Score a folder of one grid anew."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        cpu, wall = time.process_time(), time.perf_counter()
        result = predict(
            patches, folder / "model.safetensors", out, dense=dense, precision=precision, threads=1
        )
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        assert result.exit_code == 0, result.failures
        return Cost(len(store.read(result.outputs[0], "scores")["scores"]), cpu, wall)


if __name__ == "__main__":
    main()
