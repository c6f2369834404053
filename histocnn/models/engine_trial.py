"""Which engine is the fastest for a network on this machine, by trying."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from histocnn.errors import HistocnnError, ModelError
from histocnn.models.device import Engine, choose_device
from histocnn.models.engine_memory import ENGINES, Speeds, key_of, memory_file, recall, remember
from histocnn.models.engines import Compute, computed_by, cores, lacking, version
from histocnn.models.networks import takes
from histocnn.models.options import EngineName
from histocnn.models.spec import ModelSpec
from histocnn.patches.patches import Patches

USUAL_PX = 224
IMAGES, REPEATS = 16, 3  # of a trial; a batch of each engine in turns
COMPILE_S, COMPILE_GAIN = 60.0, 1.3  # what compiling is expected to cost, and to bring at best


def settle(engine: Engine, network: nn.Module, spec: ModelSpec, items: Sequence[Patches]) -> Engine:
    """The engine with its name settled, where it is `auto`; says which, and how fast it was.

    Args:
        engine: As asked for.
        network: In evaluation mode, on the CPU or the engine's device.
        spec: How its input looks.
        items: Whose patches are to be computed; without any nothing is tried.
    """
    if not items:
        return replace(engine, name="torch")
    device = choose_device(engine.device)
    patches, side_px = amount(items)
    side = spec.input_px or side_px or spec.patch_px or USUAL_PX
    facts = {**machine(device, engine.workers), "bf16": engine.bf16, "px": side,
             "batch_size": engine.batch_size, "network": spec.backbone,
             "arguments": spec.arguments, "layers": spec.layers, "pool": spec.pool}  # fmt: skip
    key = key_of(facts)
    known = recall(key)
    placed = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    with _share_of_cores(engine):
        found = tried(engine, placed, side, patches, known)
    if not found.rates:
        return replace(engine, name="torch")  # which says of every slide what is wrong
    if found != known:
        kept = remember(key, found)
        where = memory_file() if kept else "nowhere: the cache cannot be written"
        print(f"engines tried, remembered in {where}", file=sys.stderr)
    best = found.fastest(patches)
    said = [f"{name} {rate:.1f}/s" for name, rate in found.rates.items()]
    said += [f"{name} failed" for name in found.failed]
    print(f"engine {best} ({', '.join(said)})", file=sys.stderr)
    return replace(engine, name=best)


@contextmanager
def _share_of_cores(engine: Engine) -> Iterator[None]:
    """As many threads as one of the engine's workers has."""
    before = torch.get_num_threads()
    try:
        engine.place()
        yield
    finally:
        torch.set_num_threads(before)


def amount(items: Sequence[Patches]) -> tuple[int, int | None]:
    """How many patches there are, and their side where it is one; what cannot be read is none."""
    count, sides = 0, set()
    for item in items:
        with suppress(HistocnnError):  # it fails when its turn comes, and alone
            count += len(item)
            sides.add(item.patch_px)
        item.close()  # or all slides' places would lie in memory
    return count, sides.pop() if len(sides) == 1 else None


def machine(device: torch.device, workers: int) -> Mapping[str, object]:
    """What of a machine and its libraries decides the speeds."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    cpu = next((line.split(": ")[-1] for line in lines if line.startswith("model name")), "")
    place = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    present = [each for each in ENGINES if not lacking(each, _CPU, False)]
    engines = [version(each) for each in present]
    return {"cpu": cpu, "cores": cores(workers), "device": place, "engines": engines}


NOTHING = Speeds()
_CPU = torch.device("cpu")


def tried(
    engine: Engine, network: nn.Module, side_px: int, patches: int, known: Speeds = NOTHING
) -> Speeds:
    """How fast the engines are that can be had here, added to what is known.

    torch.compile is tried only where so many patches would pay for it.

    Args:
        engine: What they share.
        network: On its device.
        side_px: Of its input.
        patches: That are to be computed.
        known: What need not be tried.
    """
    device = next(network.parameters(), torch.zeros(0)).device
    names = [name for name in ENGINES if not lacking(name, device, engine.bf16)]
    rates = {name: known.rates[name] for name in names if name in known.rates}
    missing = [name for name in names if name not in (*rates, *known.failed)]
    trying: list[EngineName] = [name for name in missing if name != "compile"]
    if trying:
        rates |= _rates(engine, network, side_px, trying)
    if not rates:
        return NOTHING
    compile_s, best = known.compile_s, max(rates.values())
    pays = patches / best * (1 - 1 / COMPILE_GAIN) > (compile_s or COMPILE_S)
    if "compile" in missing and pays:
        trying.append("compile")
        print("engine compile is tried, which takes a minute", file=sys.stderr)
        started = time.perf_counter()
        found = _rates(engine, network, side_px, ["compile"], engine.batch_size)
        rates |= found
        spent = time.perf_counter() - started
        computed = engine.batch_size * REPEATS / found["compile"] if found else 0.0
        compile_s = round(max(0.0, spent - computed), 1)
    failed = [name for name in trying if name not in rates]
    return Speeds(rates, compile_s, (*known.failed, *failed))


def _rates(
    engine: Engine,
    network: nn.Module,
    side_px: int,
    names: Sequence[EngineName],
    count: int = IMAGES,
) -> dict[EngineName, float]:
    """Patches/s by engine, in turns; without those that cannot compute this network."""
    device = next(network.parameters(), torch.zeros(0)).device
    images = torch.rand(count, 3, side_px, side_px, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    computing: dict[EngineName, Compute] = {}
    seconds: dict[EngineName, list[float]] = {}
    for name in names:
        try:
            found = computed_by(name, network, batch_size=count)
            with takes("", images):
                _timed(found, images, engine.bf16)  # exports, compiles, warms up
        except ModelError as error:
            print(f"engine {name} is left out: {error}", file=sys.stderr)
        else:
            computing[name] = found
    for _ in range(REPEATS):
        for name, compute in computing.items():
            seconds.setdefault(name, []).append(_timed(compute, images, engine.bf16))
    return {name: round(count / statistics.median(each), 2) for name, each in seconds.items()}


def _timed(compute: Compute, images: Tensor, bf16: bool) -> float:
    device = images.device
    started = time.perf_counter()
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        compute(images).float().cpu()  # waits for a GPU
    return time.perf_counter() - started
