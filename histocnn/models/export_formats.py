"""The formats of exported networks: how each is written, and how it is run to be checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from histocnn.models.onnx_session import open_session
from histocnn.models.spec import ModelSpec
from histocnn.models.translating import onnx_program, quiet, torchscript
from histocnn.models.whole import Tempered, Whole

Target = Literal["onnx", "torchscript", "wsinfer"]
Pixels = NDArray[np.uint8]
Scores = NDArray[np.floating[Any]]
NETWORK: Mapping[Target, str] = {
    "onnx": "model.onnx",
    "torchscript": "model.pt",
    "wsinfer": "torchscript_model.pt",
}
ODD = 5  # patches of a batch when it is checked: no multiple of what it was exported with
INSIDE = "histocnn_recipe"  # under which name the recipe lies in the network's file


def _write_onnx(network: nn.Module, spec: ModelSpec, path: Path, recipe: str) -> None:
    program = onnx_program(Whole(network, spec).eval(), _pixels(spec), ("pixels", "scores"))
    program.model.metadata_props[INSIDE] = recipe
    program.model.graph.inputs[0].shape[0] = "batch"
    with quiet():
        program.save(str(path), external_data=False)


def _write_torchscript(network: nn.Module, spec: ModelSpec, path: Path, recipe: str) -> None:
    _save_script(Whole(network, spec), _pixels(spec), path, recipe)


def _write_wsinfer(network: nn.Module, spec: ModelSpec, path: Path, recipe: str) -> None:
    images = _pixels(spec).permute(0, 3, 1, 2).float()
    _save_script(Tempered(network, spec), images, path, recipe)


def _pixels(spec: ModelSpec) -> torch.Tensor:
    """Two patches: a graph of a single one may not hold for more."""
    side = int(spec.patch_px or 0)
    return torch.zeros(2, side, side, 3, dtype=torch.uint8)


def _save_script(network: nn.Module, example: torch.Tensor, path: Path, recipe: str) -> None:
    script = torchscript(network.eval(), example)
    with quiet():
        torch.jit.save(script, str(path), _extra_files={f"{INSIDE}.json": recipe})


def _by_onnx(path: Path, pixels: Pixels, spec: ModelSpec) -> Scores:
    session = open_session(path, torch.get_num_threads())
    batches = (pixels[i : i + ODD] for i in range(0, len(pixels), ODD))
    return np.concatenate([session.run(None, {"pixels": batch})[0] for batch in batches])


def _by_torchscript(path: Path, pixels: Pixels, spec: ModelSpec) -> Scores:
    return _by_script(path, torch.from_numpy(pixels))


def _by_wsinfer(path: Path, pixels: Pixels, spec: ModelSpec) -> Scores:
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (spec.mean, spec.std))
    logits = torch.from_numpy(_by_script(path, (images - mean) / std))
    return np.asarray(torch.softmax(logits, dim=1))


def _by_script(path: Path, given: torch.Tensor) -> Scores:
    with quiet(), torch.inference_mode():
        script = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
        parts = (given[i : i + ODD] for i in range(0, len(given), ODD))
        return np.concatenate([np.asarray(script(part)) for part in parts])


WRITERS: Mapping[Target, Callable[[nn.Module, ModelSpec, Path, str], None]] = {
    "onnx": _write_onnx,
    "torchscript": _write_torchscript,
    "wsinfer": _write_wsinfer,
}
READERS: Mapping[Target, Callable[[Path, Pixels, ModelSpec], Scores]] = {
    "onnx": _by_onnx,
    "torchscript": _by_torchscript,
    "wsinfer": _by_wsinfer,
}
