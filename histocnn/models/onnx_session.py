"""ONNX Runtime: a network's file opened for as many cores as it may take."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from histocnn.errors import ModelError, UsageError
from histocnn.models.translating import INSTALL_ONNX

ERRORS_ONLY = 3  # of its log


def check_runtime() -> None:
    """Refuse where ONNX Runtime is not installed.

    Raises:
        UsageError: Says what to install.
    """
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UsageError("ONNX Runtime is not installed", INSTALL_ONNX) from error


def runtime() -> str:
    """Which ONNX Runtime it is, as files record it."""
    return f"onnxruntime {importlib.metadata.version('onnxruntime')}"


def open_session(network: str | Path | bytes, threads: int) -> Any:
    """An `onnxruntime.InferenceSession` of a file, or of what would be in it, on the CPU.

    Args:
        network: The file, or its bytes.
        threads: Of the network.

    Raises:
        UsageError: ONNX Runtime is not installed.
        ModelError: It cannot run this.
    """
    check_runtime()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1  # a network's layers follow each other
    # Threads that wait for the next layer would take the cores from those that read the patches.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = ERRORS_ONLY
    given = network if isinstance(network, bytes) else str(network)
    try:
        return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own errors have no common class but RuntimeError's
        said = " ".join(str(error).split())[:200]
        what = "the network" if isinstance(network, bytes) else network
        raise ModelError(
            f"{what}: ONNX Runtime cannot run it ({said})",
            "Use --engine torch, or a later version.",
        ) from error
