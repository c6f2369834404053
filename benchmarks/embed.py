"""How near embedding and predicting come to what reading and the network alone allow.

One slide (a phantom with a level at 0.5 µm/px), file to features, 224 px at 0.5 µm/px, ResNet-18
with random weights (ResNet-50 on a GPU). In one run, at one precision:

    D     patches/s of the reading alone
    N     patches/s of the network alone, on random pixels already in memory
    rate  patches/s of `histocnn embed`, start of the loop to the file in place

On a CPU both share the cores: efficiency = rate × (1/D + 1/N). On a GPU: rate / min(D, N).
Run it on an idle machine:

    python benchmarks/embed.py
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from histocnn.jobs.ledger import verdict
from histocnn.models.backbones import build
from histocnn.models.infer import Loading, write_results
from histocnn.models.runner import Runner
from histocnn.models.spec import ModelSpec
from histocnn.patches.grid import build_grid
from histocnn.patches.patches import Patches, open_patches
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.slides.slide import Slide
from histocnn.storage import store

PATCH_PX, MPP, BATCH, REPEATS = 224, 0.5, 64, 3
SIDE_PX = 224 * 30  # at 0.5 µm/px: 900 patches
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
NAME = "resnet50" if DEVICE.type == "cuda" else "resnet18"


def main() -> None:
    print(f"{cpu_name()}, {os.cpu_count()} cores, {DEVICE}; torch {torch.__version__}; {NAME}")
    with tempfile.TemporaryDirectory() as folder:
        patches = grid(Path(folder))
        reading = statistics.median(read_rate(patches) for _ in range(REPEATS))
        print(f"{len(patches)} patches of {PATCH_PX} px; D {reading:.0f}/s")
        baseline = network_rate(runner(bf16=False, channels_last=False))
        print(f"network alone, fp32, channels first: {baseline:.1f}/s")
        for bf16 in (False, True):
            measure(patches, reading, bf16, Path(folder) / "out.h5")


def measure(patches: Patches, reading: float, bf16: bool, target: Path) -> None:
    """Network alone and whole loop in turns, median of each; the ratios."""
    run = runner(bf16)
    alone, rates, shares = [], [], {}
    for _ in range(REPEATS):
        alone.append(network_rate(run))
        rate, shares = loop_rate(patches, run, target)
        rates.append(rate)
    network, rate = statistics.median(alone), statistics.median(rates)
    ratio = rate * (1 / reading + 1 / network)
    if DEVICE.type == "cuda":
        ratio = rate / min(reading, network)
    print(
        f"{'bf16' if bf16 else 'fp32'} channels_last: N {network:.1f}/s, rate {rate:.1f}/s, "
        f"efficiency {ratio:.3f}, rate / N {rate / network:.3f}; {verdict(shares)}"
    )


def grid(folder: Path) -> Patches:
    """A phantom of 0.25 µm/px whose second level has 0.5, and the grid of all of it."""
    size = (2 * SIDE_PX, 2 * SIDE_PX)
    spec = PhantomSpec(size_px=size, mpp=MPP / 2, tissue_px=size)  # glass would read too fast
    slide_path = folder / "phantom.tif"
    make_phantom(slide_path, spec)
    slide = Slide(slide_path)
    found = build_grid(slide.size_l0, slide.require_mpp(), patch_px=PATCH_PX, mpp=MPP)
    attributes = {
        **found.attributes(),
        "slide_id": "phantom",
        "slide_path": str(slide_path),
        "fingerprint": slide.fingerprint,
    }
    file = folder / "grids" / "phantom.h5"
    store.write(file, {"coords": found.coords, "cell": found.cell}, attributes)
    return open_patches(file)[0]


def runner(bf16: bool, channels_last: bool = True) -> Runner:
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network: Any = build(NAME, 0).eval()
    network = network.to(DEVICE, memory_format=layout)
    return Runner(network, ModelSpec(NAME), DEVICE, bf16, lambda f: {"features": f})


def read_rate(patches: Patches) -> float:
    start = time.perf_counter()
    done = sum(len(batch.rows) for batch in patches.batches(BATCH, threads=os.cpu_count() or 1))
    return done / (time.perf_counter() - start)


def network_rate(run: Runner, batches: int = 4) -> float:
    """The forward pass on normalised random images alone."""
    images = torch.rand(BATCH, 3, PATCH_PX, PATCH_PX, device=DEVICE)
    weight = next(run.network.parameters())
    if weight.is_contiguous(memory_format=torch.channels_last):
        images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast(DEVICE.type, torch.bfloat16, enabled=run.bf16):
        run.network(images)
        synchronise()
        start = time.perf_counter()
        for _ in range(batches):
            run.network(images)
        synchronise()
    return batches * BATCH / (time.perf_counter() - start)


def loop_rate(
    patches: Patches, run: Runner, target: Path, batch_size: int = BATCH
) -> tuple[float, dict[str, float]]:
    start = time.perf_counter()
    facts = write_results(
        target,
        patches,
        run,
        dtypes={"features": "float16"},
        attributes={},
        tick=lambda done, total: None,
        loading=Loading(batch_size, os.cpu_count() or 1),
    )
    return len(patches) / (time.perf_counter() - start), facts["shares"]


def synchronise() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "?")


if __name__ == "__main__":
    main()
