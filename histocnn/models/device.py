"""Where a network runs and in which numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from histocnn.errors import UsageError
from histocnn.jobs.workers import worker_index
from histocnn.models.engines import Compute, computed_by, cores, lacking, version
from histocnn.models.infer import Loading
from histocnn.models.options import EngineName, Precision


@dataclass(frozen=True)
class Engine:
    """How a network is run over slides.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        bf16: Compute in bfloat16.
        batch_size: Patches at a time.
        threads: Readers per slide.
        workers: Slides in parallel processes.
        name: What computes the network.
    """

    device: str
    bf16: bool
    batch_size: int
    threads: int
    workers: int
    name: EngineName = "torch"

    @classmethod
    def choose(
        cls, device: str, precision: Precision, name: EngineName = "torch", **counts: int
    ) -> Engine:
        """What the hardware offers of what is asked; says what it is.

        The precision is the hardware's, whatever engine computes in it, for it decides the files;
        only where ONNX Runtime is asked for by name, auto is what that has: float32.

        Raises:
            UsageError: There is no such device, or no such engine on it.
        """
        if name == "onnx":
            device = "cpu" if device == "auto" else device
            precision = "fp32" if precision == "auto" else precision
        place = choose_device(device)
        engine = cls(device, choose_bf16(precision, place), **counts, name=name)
        if problem := lacking(name, place, engine.bf16):
            raise problem
        numbers = "bf16" if engine.bf16 else "float32"
        by = "" if name in ("torch", "auto") else f", {version(name)}"
        print(f"{place}, {numbers}, channels_last{by}", file=sys.stderr)
        return engine

    @property
    def precision(self) -> str:
        """The precision as a recipe names it."""
        return "bf16" if self.bf16 else "fp32"

    def sliding(self) -> Engine:
        """The same for --dense, whose regions of many sizes torch computes.

        Raises:
            UsageError: Another engine is asked for by name.
        """
        if self.name not in ("auto", "torch"):
            raise UsageError(
                f"--dense with --engine {self.name}: a network slides over regions by torch alone",
                "Leave one of them out.",
            )
        return replace(self, name="torch")

    def compute(self, network: nn.Module) -> Compute | None:
        """What computes a network in torch's place; None where torch does."""
        if self.name == "torch":
            return None
        return computed_by(self.name, network, batch_size=self.batch_size)

    def place(self) -> torch.device:
        """Take this process's device, and its part of the cores where several work at once."""
        if self.workers > 1:
            torch.set_num_threads(cores(self.workers))
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
