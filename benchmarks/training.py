"""Training: images/s of the data path alone (D), the network alone (N), and both (R).

    python benchmarks/training.py --patches P --backbone resnet18 --batch_size 64 --workers 2

Efficiency is R × (1/D + 1/N) on a CPU, where both share the cores, and R / min(D, N) on a GPU.
The three are measured by turns, `--rounds` times, because the machine may be shared; each figure
is the median.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
import warnings
from itertools import cycle, islice
from pathlib import Path

import torch
from pytorch_lightning import Callback, Trainer

from histocnn.models.classifier import Classifier
from histocnn.models.data import PatchDataModule
from histocnn.models.options import DataOptions, ModelOptions
from histocnn.models.training import default_precision

warnings.filterwarnings("ignore")
WARM = 3  # batches before the clock starts


class Clock(Callback):
    """The wall time of training batches after the first few."""

    def __init__(self) -> None:
        self.images, self.start, self.end = 0, 0.0, 0.0

    def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
        """Count the batch once the device is done with it."""
        _wait(module.device)
        self.end = time.perf_counter()
        if trainer.global_step <= WARM:
            self.start = self.end
        else:
            self.images += len(batch["labels"])

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / (self.end - self.start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def data_rate(data: PatchDataModule, batches: int) -> float:
    loader = data.loader("train", train=True)
    stream = (batch for _ in cycle([0]) for batch in loader)
    for _ in islice(stream, WARM):
        pass
    start = time.perf_counter()
    images = sum(len(batch["labels"]) for batch in islice(stream, batches))
    return images / (time.perf_counter() - start)


def trainer(batches: int, clock: Clock) -> Trainer:
    return Trainer(
        max_steps=WARM + batches, accelerator="auto", devices=1, precision=default_precision(),
        callbacks=[clock], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, limit_val_batches=0,
    )  # fmt: skip


class Repeated:
    """One batch of random pixels, again and again: what training costs without its data."""

    def __init__(self, data: PatchDataModule, count: int) -> None:
        shape = (data.options.batch_size, data.side_px, data.side_px, 3)
        labels = torch.arange(data.options.batch_size) % len(data.class_names)
        self.count = count
        self.batch = {
            "pixels": torch.randint(0, 256, shape, dtype=torch.uint8),
            "labels": labels, "rows": labels, "colour": torch.zeros(data.options.batch_size, 6),
        }  # fmt: skip

    def __len__(self) -> int:
        return self.count

    def __iter__(self):
        return iter([self.batch] * self.count)


def model(asked, data: PatchDataModule) -> Classifier:
    network = Classifier(
        data.class_names, ModelOptions(asked.backbone, None), input_px=data.input_px
    )
    network.network.to(memory_format=torch.channels_last)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patches", type=Path, required=True)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--input_px", type=int)
    parser.add_argument("--augment", default="histology")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    rates: dict[str, list[float]] = {"D": [], "N": [], "R": []}
    chosen = DataOptions(
        asked.patches, split_by="file", fractions=(0.9, 0.05, 0.05), input_px=asked.input_px,
        augment=asked.augment, batch_size=asked.batch_size, workers=asked.workers,
    )  # fmt: skip
    data = PatchDataModule(chosen)
    for _ in range(asked.rounds):
        rates["D"].append(data_rate(data, asked.batches))
        for name in ("N", "R"):
            clock = Clock()
            loader = (
                Repeated(data, WARM + asked.batches) if name == "N" else data.train_dataloader()
            )
            trainer(asked.batches, clock).fit(model(asked, data), loader)
            rates[name].append(clock.rate)
    d, n, r = (statistics.median(rates[name]) for name in "DNR")
    gpu = torch.cuda.is_available()
    processor = platform.processor() or platform.machine()
    machine = torch.cuda.get_device_name() if gpu else f"{os.cpu_count()} × {processor}"
    print(f"{asked.backbone}, batch {asked.batch_size}, {default_precision()}, "
          f"{asked.workers} workers, augment {asked.augment}, {machine}")  # fmt: skip
    for name, meaning in (("D", "data alone"), ("N", "network alone"), ("R", "training")):
        print(f"  {name} {statistics.median(rates[name]):8.1f} images/s  {meaning:14}"
              f" rounds {[round(x, 1) for x in rates[name]]}")  # fmt: skip
    efficiency = r / min(d, n) if gpu else r * (1 / d + 1 / n)
    print(f"  efficiency {efficiency:.2f} = {'R / min(D, N)' if gpu else 'R × (1/D + 1/N)'}")


if __name__ == "__main__":
    main()
