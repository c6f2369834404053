"""What computes a network: torch, torch compiled for this machine, or ONNX Runtime.

Each takes images float [B, 3, h, w], prepared, and gives outputs [B, ...]; a `Runner` does the rest
alike, so that files differ by rounding only.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from histocnn.errors import ModelError, UsageError
from histocnn.models.onnx_session import check_runtime, open_session, runtime
from histocnn.models.options import EngineName
from histocnn.models.translating import check_exporter, check_size, onnx_program

Compute = Callable[[Tensor], Tensor]
INSTALL_COMPILER = "Install a C++ compiler (g++), or use --engine onnx or torch."
INPUT, OUTPUT = "images", "outputs"


def cores(workers: int = 1) -> int:
    """The cores that one of so many processes may use, which on a shared machine are not all."""
    return max(1, len(os.sched_getaffinity(0)) // workers)


def compiler() -> str | None:
    """The C++ compiler that torch.compile uses on a CPU; None where there is none."""
    return shutil.which(os.environ.get("CXX") or "g++")


def lacking(name: EngineName, device: torch.device, bf16: bool) -> UsageError | None:
    """Why an engine cannot be had here; None where it can."""
    if name == "onnx":
        if device.type != "cpu":
            return UsageError(
                f"--engine onnx runs on the CPU, not on {device}",
                "Give --device cpu, or --engine compile.",
            )
        if bf16:
            return UsageError(
                "--engine onnx computes in float32", "Leave --precision out, or --engine onnx."
            )
        try:
            check_exporter()
            check_runtime()
        except UsageError as error:
            return UsageError(f"--engine onnx: {error.message}", error.remedy)
    if name == "compile" and device.type == "cpu" and compiler() is None:
        return UsageError("--engine compile: there is no C++ compiler", INSTALL_COMPILER)
    return None


def version(name: EngineName) -> str:
    """What computes, as files record it."""
    if name == "onnx":
        return runtime()
    return f"torch {torch.__version__}" + (", compiled" if name == "compile" else "")


def computed_by(name: EngineName, network: nn.Module, *, batch_size: int) -> Compute:
    """A network as an engine computes it.

    Args:
        name: Of the engine, no longer `auto`.
        network: In evaluation mode, where it shall run.
        batch_size: The most images at a time.
    """
    if name == "compile":
        return Compiled(network, batch_size)
    if name == "onnx":
        return ByOnnx(network, torch.get_num_threads())  # its part of the cores: `Engine.place`
    return network


class ByOnnx:
    """A network computed by ONNX Runtime, on the CPU.

    Args:
        network: In evaluation mode; its weights are copied.
        threads: Of the network.

    Raises:
        ModelError: It is too large for ONNX, or, when called, cannot be exported.
    """

    def __init__(self, network: nn.Module, threads: int) -> None:
        check_size(network, "Use --engine torch.")
        self._network = network
        self._threads = threads
        self._sessions: dict[tuple[int, ...], Any] = {}

    def __call__(self, images: Tensor) -> Tensor:
        """Outputs [B, ...] of images [B, 3, h, w]."""
        session = self._session(tuple(images.shape[1:]))
        given = images.float().contiguous().numpy()  # channels last would be read as first
        [outputs] = session.run(None, {INPUT: given})
        return torch.from_numpy(outputs)

    def _session(self, shape: tuple[int, ...]) -> Any:
        """A graph holds for one size of images, and for any number of them."""
        if shape not in self._sessions:
            # Not in inference mode, whose tensors the exporter cannot look into.
            with torch.inference_mode(False):
                program = onnx_program(self._network, torch.zeros(2, *shape), (INPUT, OUTPUT))
            content = program.model_proto.SerializeToString()
            self._sessions = {shape: open_session(content, self._threads)}
        return self._sessions[shape]


class Compiled:
    """A network compiled by torch for this machine, when it is first called.

    Args:
        network: In evaluation mode; its weights are never changed again.
        batch_size: To which smaller batches are filled up: another size would be compiled anew.
    """

    def __init__(self, network: nn.Module, batch_size: int) -> None:
        on_cpu = all(weight.device.type == "cpu" for weight in network.parameters())
        options: Any = {"freezing": True} if on_cpu else None  # folds batch norms into weights
        self._compiled: Any = torch.compile(network, dynamic=False, options=options)
        self._batch_size = batch_size

    def __call__(self, images: Tensor) -> Tensor:
        """Outputs [B, ...] of images [B, 3, h, w].

        Raises:
            ModelError: It cannot be compiled.
        """
        count = len(images)
        if count < self._batch_size:
            empty = images.new_zeros(self._batch_size - count, *images.shape[1:])
            images = torch.cat([images, empty]).contiguous(memory_format=torch.channels_last)
        try:
            outputs: Tensor = self._compiled(images)
        except torch._dynamo.exc.TorchDynamoException as error:  # compiler and tracer alike
            said = " ".join(str(error).split())[:200]
            raise ModelError(
                f"torch.compile failed ({type(error).__name__}: {said})", INSTALL_COMPILER
            ) from error
        return outputs[:count]
