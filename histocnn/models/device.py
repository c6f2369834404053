"""Where a network runs and in which numbers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from histocnn.errors import UsageError
from histocnn.jobs.workers import worker_index
from histocnn.models.infer import Loading
from histocnn.models.options import Precision


@dataclass(frozen=True)
class Engine:
    """How a network is run over slides.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        bf16: Compute in bfloat16.
        batch_size: Patches at a time.
        threads: Readers per slide.
        workers: Slides in parallel processes.
    """

    device: str
    bf16: bool
    batch_size: int
    threads: int
    workers: int

    @classmethod
    def choose(cls, device: str, precision: Precision, **counts: int) -> Engine:
        """What the hardware offers of what is asked; says what it is.

        Raises:
            UsageError: There is no such device.
        """
        place = choose_device(device)
        engine = cls(device, choose_bf16(precision, place), **counts)
        numbers = "bf16" if engine.bf16 else "float32"
        print(f"{place}, {numbers}, channels_last", file=sys.stderr)
        return engine

    @property
    def precision(self) -> str:
        """The precision as a recipe names it."""
        return "bf16" if self.bf16 else "fp32"

    def place(self) -> torch.device:
        """Take this process's device, and its part of the cores where several work at once."""
        if self.workers > 1:
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // self.workers))
        return choose_device(self.device, worker_index())

    def loading(self, normalise: Callable[..., Any] | None) -> Loading:
        """How patches are brought to the network."""
        return Loading(self.batch_size, self.threads, normalise)


def choose_device(name: str = "auto", worker: int = 0) -> torch.device:
    """`cpu`, `cuda` (worker i on GPU i), `cuda:N`, or `auto`: a GPU where there is one.

    Raises:
        UsageError: CUDA is asked for and absent.
    """
    count = torch.cuda.device_count()
    if name == "auto":
        name = "cuda" if count else "cpu"
    if name.startswith("cuda") and not count:
        raise UsageError("--device cuda, but no GPU is visible", "Use --device cpu.")
    if name == "cuda":
        return torch.device("cuda", worker % count)
    try:
        return torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name} is unknown", "Use auto, cpu, cuda or cuda:N.") from None


def choose_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether to compute in bfloat16: `auto` where the hardware multiplies it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capable = torch.cpu.get_capabilities()
    return bool(capable.get("avx512_bf16") or capable.get("amx_bf16"))
