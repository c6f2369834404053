"""How fast torch, torch.compile and ONNX Runtime compute here, alone and from file to scores.

One slide (a phantom with a level at 0.5 µm/px), 224 px, ResNet-18 and ResNet-50 with two classes
and seeded random weights. All rates are taken in turns within one run, median of `--repeats`:

    network   patches/s of an engine alone, batches of 32 in memory
    file      patches/s of `histocnn predict`'s loop, start to the file in place
    file / network, which is to be 0.92 and more for the best engine

With `--tia PYTHON`, an interpreter that has TIAToolbox 2.1.3, its DeepFeatureExtractor takes its
turn on the same patches of the same slide with a ResNet-18, in a process that stays open; the ratio
of our best engine to it is printed (aim: 1.8 × without bf16, 2.4 × with). With `--demo FOLDER`,
what `histocnn demo --out FOLDER` made, the demo's model scores the test laboratory by each engine:
the largest difference of a probability, and the AUROC. Run it on an idle machine, once as it is and
once as a processor with AVX2 alone:

    python benchmarks/engines.py --tia tia/bin/python --demo demo
    DNNL_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 python benchmarks/engines.py --precision fp32 …

These variables bind torch's kernels alone. ONNX Runtime chooses its own by what the processor says
of itself, and no variable bounds it: on a processor with AVX-512 its rate beside an emulated AVX2
flatters it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import embed
import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from histocnn.cohort.sheet import listed
from histocnn.errors import HistocnnError
from histocnn.models.backbones import build
from histocnn.models.device import Engine, choose_bf16
from histocnn.models.engines import lacking, version
from histocnn.models.runner import Runner
from histocnn.models.spec import ModelSpec
from histocnn.patches.patches import Patches
from histocnn.stages.predict import predict
from histocnn.storage import store

CPU = torch.device("cpu")
BATCH, PX = 32, 224
AIM = {False: 1.8, True: 2.4}  # × TIAToolbox, without and with bf16
Rate = Callable[[], float]

TIA = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy, torch
from tiatoolbox.models.architecture.vanilla import CNNBackbone
from tiatoolbox.models import DeepFeatureExtractor
path, out, count, threads, batch, px, workers = json.loads(sys.argv[1])
torch.set_num_threads(threads)
torch.manual_seed(0)
network = CNNBackbone("resnet18").eval()
extractor = DeepFeatureExtractor(network, batch_size=batch, num_workers=workers, verbose=False)
print("ready", flush=True)
for number, _ in enumerate(sys.stdin):
    started = time.perf_counter()
    found = extractor.run(  # baseline 0.5 is 0.5 µm/px here, which it does not read in this TIFF
        [path], patch_mode=False, save_dir=f"{out}/{number}", output_type="zarr",
        input_resolutions=[{"units": "baseline", "resolution": 0.5}], auto_get_mask=False,
        patch_input_shape=(px, px), stride_shape=(px, px), overwrite=True,
    )
    seconds = time.perf_counter() - started
    import zarr
    [file] = list(found.values())
    rows = int(zarr.open(str(file), mode="r")["coordinates"].shape[0])
    print(json.dumps([seconds, rows]), flush=True)
"""


class Tia:
    """TIAToolbox in a process of its own, that extracts the slide's features when asked."""

    def __init__(self, python: str, patches: Patches, folder: Path) -> None:
        slide = str(patches.attributes["slide_path"])
        facts = [slide, str(folder), len(patches), torch.get_num_threads(), BATCH, PX, 0]
        self.process = subprocess.Popen(
            [python, "-c", TIA, json.dumps(facts)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr, text=True,
        )  # fmt: skip
        self.rows = 0
        self._line("ready")

    def _line(self, beginning: str) -> str:
        """The next line that is ours: libraries print, too."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(beginning):
                return line
        raise SystemExit("TIAToolbox ended early")

    def __call__(self) -> float:
        """Patches/s of one turn."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        seconds, self.rows = json.loads(self._line("["))
        return float(self.rows / seconds)

    def close(self) -> None:
        """End the process."""
        self.process.communicate(timeout=60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    parser.add_argument("--networks", nargs="+", default=["resnet18", "resnet50"])
    parser.add_argument("--engines", nargs="+", default=["torch", "onnx", "compile"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--side", type=int, default=16, help="of the slide, in patches")
    parser.add_argument("--tia", help="a Python with TIAToolbox 2.1.3")
    parser.add_argument("--demo", type=Path, help="what `histocnn demo` made")
    args = parser.parse_args()
    has_bf16 = choose_bf16(args.precision, CPU)
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{embed.cpu_name()}, {torch.get_num_threads()} threads, load {load}; bf16 {has_bf16}")
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        embed.SIDE_PX = PX * args.side
        patches = embed.grid(folder)
        for network in args.networks:
            measure(network, patches, folder, args, has_bf16)
    if args.demo:
        on_demo(args.demo, args.engines)


def measure(
    name: str, patches: Patches, folder: Path, args: argparse.Namespace, has_bf16: bool
) -> None:
    """One network: every engine alone and from the file, TIAToolbox in between, in turns."""
    runners = made(name, args.engines, has_bf16)
    difference(name, runners, patches)
    rates: dict[str, list[float]] = {}
    turns: dict[str, Rate] = {}
    for engine, run in runners.items():
        turns[f"{engine} network"] = lambda run=run: network_rate(run)  # type: ignore[misc]
        turns[f"{engine} file"] = (  # type: ignore[misc]
            lambda run=run: embed.loop_rate(patches, run, folder / "out.h5", BATCH)[0]
        )
    tia = Tia(args.tia, patches, folder / "tia") if args.tia and name == "resnet18" else None
    if tia:
        turns["TIAToolbox file"] = tia
        tia()  # warm
    for _ in range(args.repeats):
        for turn, rate in turns.items():
            rates.setdefault(turn, []).append(rate())
    if tia:
        print(f"TIAToolbox: {tia.rows} patches a turn, ours {len(patches)}")
        tia.close()
    report(name, rates, has_bf16)


def made(name: str, engines: list[str], has_bf16: bool) -> dict[str, Runner]:
    """A runner per engine, and torch in bf16 where there is one."""
    torch.manual_seed(0)
    network: Any = build(name, 2).eval().to(memory_format=torch.channels_last)
    spec = ModelSpec(name, class_names=("a", "b"), patch_px=PX)
    kinds = [(engine, False) for engine in engines]
    kinds += [(engine, True) for engine in engines if has_bf16 and engine != "onnx"]
    runners = {}
    for engine, bf16 in kinds:
        label = f"{engine}{' bf16' * bf16}"
        if problem := lacking(engine, CPU, bf16):  # type: ignore[arg-type]
            print(f"{label}: {problem}")
            continue
        chosen = Engine("cpu", bf16, BATCH, 2, 1, engine)  # type: ignore[arg-type]
        run = Runner(network, spec, CPU, bf16, probabilities, compute=chosen.compute(network))
        started = time.perf_counter()
        try:
            run(np.zeros((BATCH, PX, PX, 3), np.uint8))
        except HistocnnError as error:
            print(f"{label}: {error}")
            continue
        seconds = time.perf_counter() - started
        print(f"{name} by {label} ({version(engine)}): ready after {seconds:.1f} s")  # type: ignore[arg-type]
        runners[label] = run
    return runners


def probabilities(logits: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"scores": logits.softmax(1)}


def difference(name: str, runners: dict[str, Runner], patches: Patches) -> None:
    """The largest difference of a probability from torch's in float32, on real patches."""
    pixels = np.stack([patches.patch(row) for row in range(min(BATCH, len(patches)))])
    scores = {label: run(pixels)["scores"].float().numpy() for label, run in runners.items()}
    for label, found in scores.items():
        if label != "torch" and "torch" in scores:
            print(f"{name} by {label}: differs by {np.abs(found - scores['torch']).max():.1e}")


def network_rate(run: Runner, batches: int = 4) -> float:
    """The network alone on images in memory, as its engine gets them."""
    compute = run.compute or run.network
    images = torch.rand(BATCH, 3, PX, PX).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=run.bf16):
        compute(images)
        started = time.perf_counter()
        for _ in range(batches):
            compute(images)
    return batches * BATCH / (time.perf_counter() - started)


def report(name: str, rates: dict[str, list[float]], has_bf16: bool) -> None:
    middle = {turn: statistics.median(found) for turn, found in rates.items()}
    for turn, rate in middle.items():
        spread = f"{min(rates[turn]):.1f} to {max(rates[turn]):.1f}"
        print(f"{name} {turn}: {rate:.1f}/s ({spread})")
    files = {t.removesuffix(" file"): r for t, r in middle.items() if t.endswith(" file")}
    tia = files.pop("TIAToolbox", None)
    best = max(files, key=lambda engine: files[engine])
    ratio = statistics.median(
        f / n for f, n in zip(rates[f"{best} file"], rates[f"{best} network"], strict=True)
    )
    print(f"{name}: best {best}, file / network {ratio:.3f} (aim 0.92)")
    if tia:
        found = statistics.median(
            o / t for o, t in zip(rates[f"{best} file"], rates["TIAToolbox file"], strict=True)
        )
        print(f"{name}: {best} {found:.2f} × TIAToolbox (aim {AIM[has_bf16]} ×)")


def on_demo(demo: Path, engines: list[str]) -> None:
    """The demo's model on its test laboratory by every engine: differences and AUROC."""
    model, scores = demo / "model" / "model.safetensors", {}
    with tempfile.TemporaryDirectory() as name:
        grids = Path(name) / "grids"
        grids.mkdir()
        for slide, entry in listed(demo / "cohort" / "slides.csv").items():
            if entry.split == "test":
                (grids / f"{slide}.h5").symlink_to((demo / "grids" / f"{slide}.h5").resolve())
        for engine in engines:
            out = Path(name) / engine
            done = predict(grids, model, out, engine=engine, precision="fp32")  # type: ignore[arg-type]
            assert done.exit_code == 0
            files = [store.read(path) for path in sorted(done.outputs)]
            scores[engine] = np.concatenate([file["scores"] for file in files])
            labels = np.concatenate([file["labels"] for file in files])
            names = store.attributes(done.outputs[0])["scores.class_names"]
            known = store.attributes(done.outputs[0])["labels.class_names"]
    tumour = names.index("tumour")
    kept = labels >= 0
    truth = labels[kept] == known.index("tumour")
    for engine, found in scores.items():
        differs = np.abs(found - scores[engines[0]]).max()
        auroc = roc_auc_score(truth, found[kept, tumour])
        print(f"demo's test laboratory by {engine}: AUROC {auroc:.4f}, differs by {differs:.1e}")


if __name__ == "__main__":
    main()
