"""How long the page of `histocnn inspect` takes: resnet18 and alexnet, 8 patches of 224 px.

Weights are random (a network's speed is not in them), patches a phantom's. `--classes` makes models
of two classes of them, so that class activation maps and their sanity check are made, too.

    python benchmarks/inspect_page.py [--threads 2] [--classes]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import torch
from embed import cpu_name
from safetensors.torch import save_file

from histocnn import inspect, tile
from histocnn.models.backbones import build
from histocnn.models.spec import ModelSpec, save
from histocnn.patches.patches import open_patches
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.pictures.lettering import write_png

PATCHES, PATCH_PX, MPP = 8, 224, 0.5


def patches_in(folder: Path) -> Path:
    """Eight patches of a phantom as image files."""
    make_phantom(folder / "slide.tif", PhantomSpec((2048, 2048), MPP, 1))
    tile(folder / "slide.tif", folder / "grids", patch_px=PATCH_PX, mpp=MPP)
    (grid,) = open_patches(folder / "grids")
    (folder / "patches" / "tissue").mkdir(parents=True)
    for row in range(PATCHES):
        write_png(grid.patch(row * len(grid) // PATCHES), folder / "patches/tissue" / f"{row}.png")
    return folder / "patches"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--classes", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{cpu_name()}, {os.cpu_count()} cores, {options.threads} threads")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        patches = patches_in(folder)
        for network in ("resnet18", "alexnet"):
            torch.manual_seed(0)
            given: dict[str, str | Path] = {
                "backbone": network,
                "weights": f"{folder}/{network}.safetensors",
            }
            if options.classes:
                given = {"model": folder / f"{network}.model.safetensors"}
                spec = ModelSpec(network, class_names=("normal", "tumour"), patch_px=PATCH_PX)
                save(given["model"], build(network, 2), spec)
            else:
                save_file(build(network, 0).backbone.state_dict(), given["weights"])
            wall, cpu = time.perf_counter(), time.process_time()
            inspect(folder / network, patches=patches, device="cpu", **given)  # type: ignore[arg-type]
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            parts = json.loads((folder / network / "inspect.json").read_text())["seconds"]
            size = (folder / network / "inspect.html").stat().st_size / 1e6
            print(
                f"{network}: {wall:.1f} s, {cpu:.1f} CPU s, page {size:.1f} MB; {parts}", flush=True
            )


if __name__ == "__main__":
    main()
