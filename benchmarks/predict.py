"""How near predicting comes to what reading and the network allow, and what a million patches hold.

The measures of `benchmarks/embed.py` for `histocnn predict` (ResNet-18 with two classes, bf16
where the hardware has it, channels_last), then what `torch.compile` would gain on this machine
and from how many patches a slide on it would pay, then the resident memory of 1,048,576 patches
of 4 px through a network of no size. Run it on an idle machine:

    python benchmarks/predict.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import torch
from embed import DEVICE, NAME, REPEATS, cpu_name, grid, loop_rate, network_rate, read_rate
from torch import Tensor, nn

from histocnn.jobs.ledger import verdict
from histocnn.models.backbones import build
from histocnn.models.device import choose_bf16
from histocnn.models.runner import Runner
from histocnn.models.spec import ModelSpec
from histocnn.patches.grid import build_grid
from histocnn.patches.patches import open_patches
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.slides.slide import Slide
from histocnn.storage import store

SIDE_PX, TINY_PX = 4096, 4


def main() -> None:
    memory()
    bf16 = choose_bf16("auto", DEVICE)
    print(
        f"{cpu_name()}, {DEVICE}; {NAME}, {'bf16' if bf16 else 'fp32'}, channels_last, no compile"
    )
    with tempfile.TemporaryDirectory() as folder:
        patches = grid(Path(folder))
        run = runner(bf16)
        reading = statistics.median(read_rate(patches) for _ in range(REPEATS))
        alone, rates, shares = [], [], {}
        for _ in range(REPEATS):
            alone.append(network_rate(run))
            rate, shares = loop_rate(patches, run, Path(folder) / "out.h5")
            rates.append(rate)
    network, rate = statistics.median(alone), statistics.median(rates)
    ratio = rate * (1 / reading + 1 / network)
    if DEVICE.type == "cuda":
        ratio = rate / min(reading, network)
    print(
        f"{len(patches)} patches: D {reading:.0f}/s, N {network:.1f}/s, rate {rate:.1f}/s, "
        f"efficiency {ratio:.3f}; {verdict(shares)}"
    )
    compiled(run, network)


def runner(bf16: bool) -> Runner:
    torch.manual_seed(0)
    network = build(NAME, 2).to(DEVICE, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return Runner(network, ModelSpec(NAME), DEVICE, bf16, scores)


def scores(logits: Tensor) -> dict[str, Tensor]:
    return {"scores": logits.softmax(1)}


def compiled(run: Runner, plain: float) -> None:
    """What torch.compile gains, and the slide size from which it would pay."""
    faster = Runner(torch.compile(run.network), run.spec, DEVICE, run.bf16, scores)
    start = time.perf_counter()
    network_rate(faster, batches=1)
    seconds = time.perf_counter() - start
    rate = network_rate(faster)
    gain = 1 / plain - 1 / rate
    pays = f"pays from {seconds / gain:,.0f} patches a slide" if gain > 0 else "never pays"
    print(f"torch.compile: {rate:.1f}/s after {seconds:.0f} s of compiling, {pays}")


class Mean(nn.Module):
    """A network of no size: logits from the mean of each channel."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, 2]."""
        return images.mean((2, 3))[:, :2]


def memory() -> None:
    """Peak resident memory over that of the process before, for a million patches."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "phantom.tif"
        make_phantom(path, PhantomSpec(size_px=(SIDE_PX, SIDE_PX)))
        slide = Slide(path)
        found = build_grid(slide.size_l0, slide.require_mpp(), patch_px=TINY_PX, mpp=0.5)
        attributes = {**found.attributes(), "slide_id": "p", "slide_path": str(path)}
        file = Path(folder) / "p.h5"
        store.write(file, {"coords": found.coords, "cell": found.cell}, attributes)
        count = len(found)
        del found
        run = Runner(Mean(), ModelSpec(NAME), DEVICE, False, scores)
        run(torch.zeros(1, TINY_PX, TINY_PX, 3, dtype=torch.uint8).numpy())
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # to share such small work costs more than it saves
        Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
        before = resident_mb()
        rate, _ = loop_rate(open_patches(file)[0], run, Path(folder) / "out.h5", batch_size=1024)
        torch.set_num_threads(threads)
    print(
        f"{count:,} patches at {rate:,.0f}/s: {before:,.0f} MB before, at most {resident_mb():,.0f}"
    )


def resident_mb() -> float:
    """Peak resident memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
